"""A number with its noun."""

from __future__ import annotations

import pytest

from robench._base.counted import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 records"), (1, "1 record"), (2, "2 records"), (1500, "1500 records")],
)
def test_only_one_has_no_s(number: int, text: str) -> None:
    assert counted(number, "record") == text
