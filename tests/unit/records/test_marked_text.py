"""Tests of the differences of two texts."""

from __future__ import annotations

import pytest

from robench.records.marked_text import Piece, marked, pieces
from robench.search.attack import Change
from robench.text.words import exchange_words

QUOTED = 'He said:  "a good film", didn\'t he?'


def change(position: int, original: str, substitute: str) -> Change:
    return Change(position=position, original=original, substitute=substitute)


def test_a_substituted_word_is_marked_and_all_else_stays() -> None:
    changed = QUOTED.replace("good", "fine")
    parts = pieces(QUOTED, changed, [change(5, "good", "fine")])
    assert marked(parts) == 'He said:  "a [[good->fine]] film", didn\'t he?'


def test_two_substituted_words_that_touch_are_two_marks() -> None:
    changes = [change(1, "can", "may"), change(2, "not", "hardly")]
    text = exchange_words("I cannot", ["I", "can", "not"], {1: "may", 2: "hardly"})
    parts = pieces("I cannot", text, changes)
    assert [piece.old for piece in parts if piece.changed] == ["can", "not"]
    assert "".join(piece.new for piece in parts) == text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a good film", "a good film", "a good film"),
        ("a good film", "a fine film", "a [[good->fine]] film"),
        ("a film", "a good film", "a [[->good ]]film"),
        ("a good film", "a film", "a [[good ->]]film"),
        ("", "new", "[[->new]]"),
        ("old", "", "[[old->]]"),
        ("é\n b", "é\n c", "é\n [[b->c]]"),
    ],
)
def test_texts_without_known_changes_are_compared(old: str, new: str, expected: str) -> None:
    parts = pieces(old, new)
    assert marked(parts) == expected
    assert "".join(piece.old for piece in parts) == old
    assert "".join(piece.new for piece in parts) == new


def test_changes_that_do_not_give_the_text_are_not_trusted() -> None:
    parts = pieces("a good film", "a bad film", [change(1, "good", "fine")])
    assert marked(parts) == "a [[good->bad]] film"


def test_no_changed_text_gives_one_equal_piece() -> None:
    assert pieces("a film", None) == [Piece("a film", "a film")]
    assert pieces("", None) == []
