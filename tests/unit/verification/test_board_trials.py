"""``robench leaderboard --check --runs``: records of a board and their trials."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from records import verified_entry
from trial_runs import TRIALS, write_run, write_trials

from robench._base.seals import file_sha256
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.verified import write_verified
from robench.search.attack import Verdict
from robench.verification import board_trials
from robench.verification.board_trials import compare_with_trials

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def make_board(folder: Path) -> tuple[Path, Record]:
    """Make a run and a board with its record; return the board and the record."""
    record = write_run(folder / "run")
    board = folder / "board"
    shutil.copytree(RunFolder(folder / "run").records, board / "records")
    toml = board / "board.toml"
    toml.write_text(
        'title = "A board"\ntask = "toy"\nencoder = "tiny"\nprotocol = "rift2021"\n'
        f'attacks = ["{record.attack.label}"]\nrecords = "records"\n'
    )
    return toml, record


def mark(board: Path, record: Record) -> None:
    """Write that the record of the board is verified as it is now."""
    folder = board.parent / "records"
    entry = verified_entry(record, NOW)
    write_verified(folder, {file_sha256(folder / record.file_name): entry})


def test_a_verified_record_agrees_with_its_trials(tmp_path: Path) -> None:
    board, record = make_board(tmp_path)
    mark(board, record)
    found = compare_with_trials(board, [tmp_path / "elsewhere", tmp_path / "run"])
    assert (found.agreeing, found.missing, list(found.problems)) == (1, 0, [])


def test_a_verified_record_is_compared_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, record = make_board(tmp_path)
    mark(board, record)
    monkeypatch.setattr(board_trials, "_differences", lambda *_: ["compared in full"])
    assert compare_with_trials(board, [tmp_path / "run"]).problems == []
    # Another record under this name is not the one that was verified.
    other = record.model_copy(update={"disbelieved": 0, "created": NOW})
    write_record(board.parent / "records" / record.file_name, other)
    (problem,) = compare_with_trials(board, [tmp_path / "run"]).problems
    assert problem == f"{record.file_name}: compared in full"


def test_other_trials_than_those_of_a_verified_record_are_a_problem(tmp_path: Path) -> None:
    board, record = make_board(tmp_path)
    mark(board, record)
    held = TRIALS[0].model_copy(
        update={
            "verdict": Verdict.HELD,
            "adversarial_prediction": None,
            "adversarial_probs": None,
            "changes": (),
            "asked_at_success": None,
        }
    )
    write_trials(tmp_path / "run", record, [held, *TRIALS[1:]])
    found = compare_with_trials(board, [tmp_path / "run"])
    assert found.agreeing == 0
    assert any("letters are not those of the trials" in each for each in found.problems)


@pytest.mark.parametrize("marked", [False, True])
def test_missing_trials_are_counted(tmp_path: Path, marked: bool) -> None:
    board, record = make_board(tmp_path)
    if marked:
        mark(board, record)
    shutil.rmtree(RunFolder(tmp_path / "run").trials)
    found = compare_with_trials(board, [tmp_path / "run"])
    assert (found.agreeing, found.missing, list(found.problems)) == (0, 1, [])


@pytest.mark.parametrize("marked", [False, True])
def test_an_unfinished_run_that_is_named_first_is_passed_over(tmp_path: Path, marked: bool) -> None:
    board, record = make_board(tmp_path)
    if marked:
        mark(board, record)
    wanted = compare_with_trials(board, [tmp_path / "run"])
    write_trials(tmp_path / "unfinished", record, TRIALS[:2])
    assert compare_with_trials(board, [tmp_path / "unfinished", tmp_path / "run"]) == wanted
    assert compare_with_trials(board, [tmp_path / "unfinished"]) != wanted
