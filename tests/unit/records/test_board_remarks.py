"""What looks like a mistake in a board is said, and nothing of other boards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robench.records.board_remarks import remarks
from robench.records.record import Record
from robench.records.record_files import write_record

MakeRecord = Callable[..., Record]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def board(tmp_path: Path, make_record: MakeRecord) -> Path:
    """A board with one record in every cell."""
    (tmp_path / "records").mkdir()
    for defense in ("standard", "rift"):
        write_record(tmp_path / "records" / f"{defense}.json", make_record("HHF", defense=defense))
    return write(tmp_path, attacks=["genetic"], defenses=["standard", "rift"])


def write(folder: Path, **fields: list[str] | str) -> Path:
    known: dict[str, list[str] | str] = {
        "title": "T",
        "task": "toy",
        "encoder": "tiny",
        "protocol": "rift2021",
        "records": "records",
    }
    path = folder / "toy.toml"
    lines = [f"{name} = {value!r}" for name, value in (known | fields).items()]
    path.write_text("\n".join(lines).replace("'", '"'))
    return path


def test_nothing_is_odd_about_a_whole_board(board: Path) -> None:
    assert remarks(board) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("leaderboards/*-*.toml")), ids=lambda p: p.stem)
def test_nothing_is_odd_about_a_committed_board(path: Path) -> None:
    assert remarks(path) == []


def test_a_column_and_a_row_without_records_are_named(board: Path) -> None:
    write(board.parent, attacks=["genetic", "pwsw"], defenses=["standard", "rift", "standrd"])
    assert remarks(board) == [
        f"{board}: no record is of the attack 'pwsw' or the defense 'standrd'. Are the names right?"
    ]


def test_records_that_do_not_count_are_counted(board: Path) -> None:
    write(board.parent, task="tyo", attacks=["genetic"])
    assert remarks(board) == [
        f"{board}: 2 of 2 records do not count. The first is rift.json: its task is 'toy', the "
        "board's 'tyo'."
    ]


def test_a_board_that_waits_for_its_records_is_not_odd(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    assert remarks(write(tmp_path, attacks=["genetic"], defenses=["standard"])) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    board = write(tmp_path, attacks=["genetic"], records="elsewhere")
    place = tmp_path / "elsewhere"
    assert remarks(board) == [f"{board}: the folder of its records, {place}, is not there."]
