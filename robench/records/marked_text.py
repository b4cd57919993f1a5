"""The differences of two texts, piece by piece, and their marks in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from robench.search.attack import Change
from robench.text.words import place_words, replace_spans, split_words

_TOKENS = re.compile(r"\s+|\w+|[^\w\s]")


class Piece(NamedTuple):
    """A piece of two texts.

    Attributes:
        old: the piece of the original text; empty where words were inserted.
        new: the piece of the changed text; equal to ``old`` where nothing was changed.
    """

    old: str
    new: str

    @property
    def changed(self) -> bool:
        """Whether the piece was changed."""
        return self.old != self.new


def pieces(original: str, changed: str | None, changes: Sequence[Change] = ()) -> list[Piece]:
    """Split two texts into equal and changed pieces.

    Joining all ``old`` gives ``original``, and joining all ``new`` gives ``changed``.

    Args:
        original: the original text.
        changed: the changed text; None means no change.
        changes: the substituted words, where they are known. Otherwise the texts are compared.
    """
    if changed is None:
        return [Piece(original, original)] if original else []
    found = list(_by_changes(original, changes)) if changes else []
    if "".join(piece.old for piece in found) == original and (
        "".join(piece.new for piece in found) == changed
    ):
        return found
    return list(_by_comparison(original, changed))


def _by_changes(original: str, changes: Sequence[Change]) -> Iterator[Piece]:
    text, spans = place_words(original, split_words(original))
    begin = 0
    for change in sorted(changes, key=lambda each: each.position):
        start, stop = spans[change.position]
        if text[begin:start]:
            yield Piece(text[begin:start], text[begin:start])
        words = {change.position: change.substitute}
        yield Piece(text[start:stop], replace_spans(text, spans, words, start, stop))
        begin = stop
    if text[begin:]:
        yield Piece(text[begin:], text[begin:])


def _by_comparison(original: str, changed: str) -> Iterator[Piece]:
    old, new = _TOKENS.findall(original), _TOKENS.findall(changed)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for _, start, stop, new_start, new_stop in matcher.get_opcodes():
        yield Piece("".join(old[start:stop]), "".join(new[new_start:new_stop]))


def bounded(parts: Sequence[Piece], limit: int) -> list[Piece]:
    """Return pieces with at most ``limit`` characters in all; a last one says what was cut.

    Args:
        parts: the pieces.
        limit: characters of the original and of the changed text.
    """
    whole = sum(max(len(piece.old), len(piece.new)) for piece in parts)
    kept: list[Piece] = []
    left = limit
    for piece in parts:
        if left <= 0:
            break
        kept.append(Piece(piece.old[:left], piece.new[:left]))
        left -= max(len(piece.old), len(piece.new))
    if whole > limit:
        note = f"… ({whole:,} characters)"
        kept.append(Piece(note, note))
    return kept


def marked(parts: Sequence[Piece]) -> str:
    """Return both texts as one, with every change as ``[[old->new]]``."""
    return "".join(
        f"[[{piece.old}->{piece.new}]]" if piece.changed else piece.old for piece in parts
    )
