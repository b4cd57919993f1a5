"""Texts of a record's test set in one of several folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import TEST_SET, TRIALS, write_run

from robench._base.errors import RobenchError
from robench.records.judged_ids import FoundTrials, find_test_set, fitting_trials, judged_ids
from robench.records.run_folder import RunFolder
from robench.records.test_set import MissingTexts


def test_the_first_folder_with_good_texts_is_taken(tmp_path: Path) -> None:
    record = write_run(tmp_path / "good")
    write_run(tmp_path / "damaged")
    empty, damaged, good = (RunFolder(tmp_path / each) for each in ("empty", "damaged", "good"))
    for path in damaged.examples.iterdir():
        path.write_text("{}\n")
    assert find_test_set([empty, damaged, good], record.task) == TEST_SET
    with pytest.raises(RobenchError, match="is damaged") as caught:
        find_test_set([empty, damaged], record.task)
    assert not isinstance(caught.value, MissingTexts)
    with pytest.raises(MissingTexts, match=r"the texts .* are not there \(toy-.*jsonl\)"):
        find_test_set([empty], record.task)


def test_ids_without_texts_are_not_known(tmp_path: Path) -> None:
    record = write_run(tmp_path / "run")
    assert len(judged_ids(tmp_path / "run", record)) == len(record.outcomes)
    assert judged_ids(tmp_path / "elsewhere", record) == []


def test_trials_are_given_if_they_fit_and_otherwise_the_reason(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    assert fitting_trials(tmp_path, record).trials == TRIALS
    assert fitting_trials(tmp_path / "elsewhere", record) == FoundTrials(None)
    other = record.model_copy(update={"outcomes": record.outcomes[::-1]})
    assert "do not fit" in (fitting_trials(tmp_path, other).problem or "")
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    path.write_bytes(b"{}\n")
    assert "(line 1 is damaged: it has no seal)" in (fitting_trials(tmp_path, record).problem or "")
    path.write_bytes(b"")
    assert fitting_trials(tmp_path, record) == FoundTrials(None)
