"""Match the words of one text that was split in two ways."""

from __future__ import annotations

from collections.abc import Sequence

_QUOTATION_MARKS = ("``", "''")
"""How NLTK writes a straight quotation mark; which of the two depends on the sentence's start."""


def characters(words: Sequence[str]) -> str:
    """Return the lower-cased characters of a text without what a splitter may change.

    Two ways to split one text into words give the same characters.
    """
    return "".join(map(_plain, words))


def align(words: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Return number of a word -> number of the same word in ``others``.

    A word without a partner is left out: the other way to split takes it apart, or joins it to its
    neighbour.

    Raises:
        ValueError: the two are not the same text.
    """
    if characters(words) != characters(others):
        raise ValueError("the words are not those of one text")
    theirs = {span: number for number, span in enumerate(_spans(others))}
    return {number: theirs[span] for number, span in enumerate(_spans(words)) if span in theirs}


def _plain(word: str) -> str:
    return '"' if word in _QUOTATION_MARKS else word.lower()


def _spans(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) of each word in ``characters(words)``."""
    spans, end = [], 0
    for word in words:
        start, end = end, end + len(_plain(word))
        spans.append((start, end))
    return spans
