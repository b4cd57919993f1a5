"""Every committed table agrees with its committed records, and all of them can be read."""

from __future__ import annotations

import os
import subprocess
import sys
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


HASHES = """
from robench._base.code_hash import source_sha256
from robench._base.key_code import TRAINING_CODE, TRIAL_CODE
print(source_sha256(*TRIAL_CODE), source_sha256(*TRAINING_CODE))
"""


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_board_names_the_commit_whose_code_made_its_records(path: Path, tmp_path: Path) -> None:
    commit = load_board(path).commit
    assert commit is not None
    names = ("robench", "attacks", "defenses")
    known = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    if subprocess.run(known, cwd=FOLDER.parent, capture_output=True, check=False).returncode:
        pytest.skip(f"the history of this checkout does not hold {commit}")
    tree = subprocess.run(
        ["git", "archive", commit, *names], cwd=FOLDER.parent, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=tmp_path, input=tree.stdout, check=True)
    hashes = subprocess.run(
        [sys.executable, "-c", HASHES],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    records = read_records(records_folder(path, load_board(path))).values()
    assert {record.search.code_sha256 for record in records} == {hashes[0]}
    assert {record.victim.training_code_sha256 for record in records} - {None} == {hashes[1]}
