"""Words of one text that was split in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.text.word_alignment import align, characters


def test_equal_words_are_their_own_partners() -> None:
    assert align(["A", "good", "film"], ["a", "Good", "film"]) == {0: 0, 1: 1, 2: 2}


def test_words_that_the_other_takes_apart_have_no_partner() -> None:
    ours = ["Songs", ",", "etc", ".", "Then", "he", "left", "."]
    theirs = ["songs", ",", "etc.", "then", "he", "left", "."]
    assert align(ours, theirs) == {0: 0, 1: 1, 4: 3, 5: 4, 6: 5, 7: 6}
    assert align(theirs, ours) == {0: 0, 1: 1, 3: 4, 4: 5, 5: 6, 6: 7}


def test_a_repeated_word_finds_its_own_place() -> None:
    ours, theirs = ["no", "Mrs", ".", "no", "no"], ["no", "Mrs.", "no", "no"]
    assert align(ours, theirs) == {0: 0, 3: 2, 4: 3}


def test_quotation_marks_may_be_written_otherwise() -> None:
    assert align(["''", "good"], ["``", "good"]) == {0: 0, 1: 1}


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="one text"):
        align(["a", "good", "film"], ["a", "bad", "film"])


@given(st.text("ab.İΣ", min_size=1, max_size=30), st.data())
def test_partners_hold_the_same_characters(text: str, data: st.DataObject) -> None:
    def cut() -> list[str]:
        marks = data.draw(st.sets(st.integers(1, len(text))))
        ends = sorted({*marks, len(text)})
        return [text[i:j] for i, j in zip([0, *ends], ends, strict=False)]

    one, other = cut(), cut()
    if characters(one) != characters(other):
        # The last letter of a Greek word has a lower case of its own.
        assert "Σ" in text
        return
    found = align(one, other)
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(found.values())
    for ours, theirs in found.items():
        assert one[ours].lower() == other[theirs].lower()
