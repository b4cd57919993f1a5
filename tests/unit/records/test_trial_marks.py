"""Tables and frames say which records are only claims."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from trial_runs import write_run

import robench
from robench._base.reporting import Silent
from robench.evaluation.results import write_leaderboard
from robench.records import trial_marks
from robench.records.comparable import Admitted
from robench.records.leaderboard import results_table
from robench.records.marks import NO_MARKS
from robench.records.record import Record, count
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.trial_marks import MISSING, KnownProblems, marks_of, trial_problems


def forge(root: Path, record: Record) -> Record:
    """Turn every letter of a record into H, with a seal that fits."""
    outcomes = "H" * len(record.outcomes)
    forged = record.model_copy(
        update={"outcomes": outcomes, "counts": count(outcomes)}
        | dict.fromkeys(("curves", "unknown", "by_label"))
    )
    write_record(RunFolder(root).records / record.file_name, forged)
    return forged


def test_an_honest_record_is_claimed_and_has_no_problem(tmp_path: Path) -> None:
    write_run(tmp_path)
    found = robench.results(tmp_path)
    line: Any = found.cells.iloc[0]
    assert line["checked"] == "claimed"
    assert pd.isna(line["trials_problem"])
    assert "Checked: all rows are claimed; 'robench verify' checks them." in str(found)
    assert "Only a claim" not in str(found)
    assert "trials_problem" not in found._repr_html_()


@pytest.mark.parametrize(("given", "checks"), [(None, True), ("mine", False)])
def test_a_table_says_what_can_be_checked_of_a_claim(
    given: str | None, checks: bool, make_record: Callable[..., Record]
) -> None:
    """Nobody else has a model that robench did not train."""
    (line,) = NO_MARKS.lines(Admitted({"a.json": make_record("WFHH", given=given)}, {}))
    assert line == (
        "Checked: all rows are claimed; 'robench verify' checks them."
        if checks
        else "Checked: all rows are claimed; 'robench verify' checks their files, but cannot ask a "
        "model that robench did not train."
    )


def test_a_forged_record_is_named_by_the_print_the_frame_and_the_page(tmp_path: Path) -> None:
    forge(tmp_path, write_run(tmp_path))
    found = robench.results(tmp_path)
    assert "100.0" in str(found)
    problem = found.cells.iloc[0]["trials_problem"]
    assert "letters are not those of the trials in" in problem
    assert f"seed 0: {problem}." in str(found)
    assert "letters are not those of the trials" in found._repr_html_()


def test_the_page_of_the_folder_names_the_record_without_its_path(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    write_leaderboard(tmp_path, Silent())
    page = RunFolder(tmp_path).leaderboard
    assert "Only a claim" not in page.read_text()
    forge(tmp_path, record)
    write_leaderboard(tmp_path, Silent())
    (line,) = [line for line in page.read_text().splitlines() if "Only a claim" in line]
    assert "seed 0: 5 letters are not those of the trials in trials/" in line
    assert str(tmp_path) not in line


def test_only_trials_that_changed_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder, known = write_run(tmp_path), RunFolder(tmp_path), KnownProblems()
    assert trial_problems(folder, {"a.json": record}, known) == {}
    monkeypatch.setattr(trial_marks, "disagreement", lambda *_: "read again")
    assert trial_problems(folder, {"a.json": record}, known) == {}
    # Another record is another object.
    assert trial_problems(folder, {"a.json": record.model_copy()}, known) == {
        "a.json": "read again"
    }
    path = folder.trials_file(record.cell_name)
    path.write_bytes(path.read_bytes() + b"x")
    monkeypatch.setattr(trial_marks, "disagreement", lambda *_: "changed")
    assert trial_problems(folder, {"a.json": record}, known) == {"a.json": "changed"}
    path.unlink()
    assert trial_problems(folder, {"a.json": record}, known) == {"a.json": MISSING}


def test_missing_trials_are_named(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    RunFolder(tmp_path).trials_file(record.cell_name).unlink()
    assert trial_problems(RunFolder(tmp_path), {"a.json": record}) == {"a.json": MISSING}
    assert f"seed 0: {MISSING}." in str(robench.results(tmp_path))


def test_trials_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    path.unlink()
    path.mkdir()
    (problem,) = trial_problems(RunFolder(tmp_path), {"a.json": record}).values()
    assert "cannot be read" in problem


def test_a_record_of_fewer_examples_than_the_file_has_no_problem(tmp_path: Path) -> None:
    from trial_runs import TRIALS, record_of

    write_run(tmp_path)
    limited = record_of(TRIALS[:2], limit=2)
    folder = RunFolder(tmp_path)
    assert trial_problems(folder, {limited.file_name: limited}) == {}


@pytest.mark.parametrize("width", [80, 120])
def test_the_lines_fit_a_terminal_and_are_bounded(tmp_path: Path, width: int) -> None:
    record = forge(tmp_path, write_run(tmp_path))
    records = [
        record.model_copy(update={"search": record.search.model_copy(update={"seed": seed})})
        for seed in range(20)
    ]
    text = results_table(records, width, marks=marks_of(RunFolder(tmp_path), records))
    paths = str(tmp_path)
    assert all(len(line) <= width or paths in line for line in text.splitlines())
    assert text.count("Only a claim") <= 3
