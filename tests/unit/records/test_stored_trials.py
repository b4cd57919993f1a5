"""Trials that lie in several runs: those that fit the record count."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import TEST_SET, TRIALS, write_run, write_trials

from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import MissingTrials, find_trials, folder_of_trials

FIRST, SECOND = "unfinished", "finished"


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """The record of a finished run; an unfinished one has the first of its trials."""
    made = write_run(tmp_path / SECOND)
    write_trials(tmp_path / FIRST, made, TRIALS[:2])
    return made


def folders(root: Path, *names: str) -> list[RunFolder]:
    return [RunFolder(root / name) for name in names]


@pytest.mark.parametrize("names", [(FIRST, SECOND), (SECOND, FIRST), ("nowhere", FIRST, SECOND)])
def test_the_trials_that_fit_are_taken(
    tmp_path: Path, record: Record, names: tuple[str, ...]
) -> None:
    stored = find_trials(record, folders(tmp_path, *names))
    assert stored.path.is_relative_to(tmp_path / SECOND)
    assert len(stored.trials) == len(TRIALS)


def test_other_trials_of_the_same_cell_are_passed_over(tmp_path: Path, record: Record) -> None:
    slower = [each.model_copy(update={"seconds": each.seconds + 1}) for each in TRIALS]
    write_trials(tmp_path / FIRST, record, slower)
    (_, second) = both = folders(tmp_path, FIRST, SECOND)
    assert folder_of_trials(record, both) == second


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path, record: Record) -> None:
    path = RunFolder(tmp_path / FIRST).trials_file(record.cell_name)
    path.unlink()
    path.mkdir()
    (_, second) = both = folders(tmp_path, FIRST, SECOND)
    assert folder_of_trials(record, both) == second


def test_without_fitting_trials_the_first_file_counts(tmp_path: Path, record: Record) -> None:
    write_trials(tmp_path / SECOND, record, TRIALS[:3])
    (first, _) = both = folders(tmp_path, FIRST, SECOND)
    assert folder_of_trials(record, both) == first
    assert len(find_trials(record, both).trials) == 2


def test_a_record_of_a_part_needs_the_ids_of_its_examples(tmp_path: Path) -> None:
    """The file of a run without a limit holds more trials than the record of a smaller run."""
    ids = [trial.id for trial in TRIALS[1:4]]
    record = write_run(tmp_path / SECOND, TRIALS[1:4], TEST_SET, limit=3)
    write_trials(tmp_path / FIRST, record, TRIALS[:2])
    write_trials(tmp_path / SECOND, record, TRIALS)
    (_, second) = both = folders(tmp_path, FIRST, SECOND)
    assert folder_of_trials(record, both, ids) == second


def test_no_folder_has_them(tmp_path: Path, record: Record) -> None:
    with pytest.raises(MissingTrials, match="there is no toy-"):
        find_trials(record, folders(tmp_path, "nowhere"))
