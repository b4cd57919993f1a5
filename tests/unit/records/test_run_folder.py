"""The layout of a run's folder and the names of its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.models.victim_folder import LOG
from robench.records.run_folder import (
    LONGEST_NAME,
    TRAINING_LOG,
    RunFolder,
    cell_name,
    record_file_name,
)

KEY = "0123456789abcdef" * 4


def test_the_name_of_a_cell() -> None:
    assert (
        cell_name("mini-reviews", "rift", "genetic", 2, KEY)
        == "mini-reviews-rift-genetic-s2-01234567"
    )


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("rift+rose-first", "rift+rose-first"),
        ("a/b c", "a-b-c"),
        ("..", ""),
        ("é" * 9 + "x", "x"),
        ("n" * 99, "n" * LONGEST_NAME),
    ],
)
def test_unsafe_and_long_names_are_replaced_and_cut(given_name: str, shown: str) -> None:
    assert cell_name("toy", given_name, "pwws", 0, KEY) == f"toy-{shown}-pwws-s0-01234567"


@given(st.text(), st.text(), st.text(), st.integers(0, 2**32))
def test_any_names_give_a_valid_file_name(task: str, defense: str, attack: str, seed: int) -> None:
    found = record_file_name(cell_name(task, defense, attack, seed, KEY), 10)
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", found)
    assert len(found) <= 255


def test_the_limit_is_part_of_a_record_file_name() -> None:
    assert record_file_name("cell", None) == "cell.json"
    assert record_file_name("cell", 20) == "cell-limit-20.json"


def test_the_paths_of_a_run() -> None:
    folder = RunFolder(Path("runs"))
    assert folder.victims == Path("runs/victims")
    assert folder.victim("rift-toy-tiny-s0-01234567") == Path(
        "runs/victims/rift-toy-tiny-s0-01234567"
    )
    assert folder.surfaces == Path("runs/surfaces")
    assert folder.trials_file("toy-rift-pwws-s0-01234567") == Path(
        "runs/trials/toy-rift-pwws-s0-01234567.jsonl"
    )
    assert folder.records == Path("runs/records")
    assert folder.leaderboard == Path("runs/leaderboard.md")


def test_training_logs_are_found_by_the_first_digits_of_a_key(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.training_logs(KEY) == []
    for name in ("b-s0-01234567", "a-s0-01234567", "c-s0-76543210"):
        folder.victim(name).mkdir(parents=True)
        (folder.victim(name) / "training.json").write_text("{}")
    folder.victim("d-s0-01234567").mkdir()
    assert folder.training_logs(KEY) == [
        folder.victim("a-s0-01234567") / "training.json",
        folder.victim("b-s0-01234567") / "training.json",
    ]
    assert TRAINING_LOG == LOG
