"""Tests of the sentences about errors of others. They are bounded and fail with no error."""

from __future__ import annotations

import pytest

from robench.search.problems import MOST, bounded, describe_error


def test_type_and_message() -> None:
    assert describe_error(ValueError("no such word")) == "ValueError: no such word"
    assert describe_error(KeyError()) == "KeyError"


@pytest.mark.parametrize("size", [1, MOST - 12, MOST - 11, MOST, 5_000_000])
def test_a_long_message_is_cut_and_says_how_long_it_was(size: int) -> None:
    text = describe_error(ValueError("x" * size))
    assert len(text) <= MOST
    assert text.startswith("ValueError: x")
    assert (f"({size + 12:,} characters)" in text) == (size + 12 > MOST)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines", "two lines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("half \ud800", "half \\ud800"),
        ("\u202eevil", "\\u202eevil"),
        ("naïve 漢字", "naïve 漢字"),
    ],
)
def test_characters_that_cannot_be_seen_or_written_are_shown(text: str, shown: str) -> None:
    assert bounded(text) == shown
    bounded(text).encode()


def test_shown_characters_count_too() -> None:
    assert len(bounded("\x00" * MOST)) <= MOST
    assert len(bounded("\x00" * 10 * MOST)) <= MOST


class _Raises(Exception):
    def __init__(self, end: type[BaseException]) -> None:
        super().__init__()
        self._end = end

    def __str__(self) -> str:
        raise self._end


@pytest.mark.parametrize("end", [ValueError, RecursionError, SystemExit, KeyboardInterrupt])
def test_a_message_that_cannot_be_made_is_left_out(end: type[BaseException]) -> None:
    assert describe_error(_Raises(end)) == "_Raises"


class _Text(str):
    def __str__(self) -> str:
        return _Text("other")

    def __len__(self) -> int:
        raise SystemExit


class _Says(Exception):
    def __str__(self) -> str:
        return _Text("what it says")


def test_the_message_is_a_plain_text() -> None:
    text = describe_error(_Says())
    assert type(text) is str
    assert text == "_Says: what it says"
