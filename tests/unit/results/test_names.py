from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.results.names import LONGEST, cell_name, record_file_name

KEY = "0123456789abcdef" * 4


def test_a_cells_name() -> None:
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
        ("n" * 99, "n" * LONGEST),
    ],
)
def test_names_are_made_safe_and_short(given_name: str, shown: str) -> None:
    assert cell_name("toy", given_name, "pwws", 0, KEY) == f"toy-{shown}-pwws-s0-01234567"


@given(st.text(), st.text(), st.text(), st.integers(0, 2**32))
def test_any_name_makes_a_file_name(task: str, defense: str, attack: str, seed: int) -> None:
    found = record_file_name(cell_name(task, defense, attack, seed, KEY), 10)
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", found)
    assert len(found) <= 255


def test_a_limit_stands_in_a_records_name() -> None:
    assert record_file_name("cell", None) == "cell.json"
    assert record_file_name("cell", 20) == "cell-limit-20.json"
