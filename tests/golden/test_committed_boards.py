"""Every committed table agrees with its committed records, and all of them can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.records.board import board_files, board_records, load_board, records_folder
from robench.records.leaderboard import check
from robench.records.record_files import read_records

FOLDER = Path(__file__).parents[2] / "leaderboards"
BOARDS = board_files(FOLDER)


def test_the_board_of_mini_reviews_exists() -> None:
    assert "mini-reviews.toml" in {path.name for path in BOARDS}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_committed_table_agrees_with_its_records(path: Path) -> None:
    assert check(path) == [], f"{path.name}: run 'robench leaderboard' and commit the result"


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_committed_record_has_the_name_that_a_run_gives_it(path: Path) -> None:
    found = read_records(records_folder(path, load_board(path)))
    assert list(found) == [record.file_name for record in found.values()]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_no_committed_record_was_refused(path: Path) -> None:
    assert dict(board_records(path, load_board(path))[0].reasons) == {}
