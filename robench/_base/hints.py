"""Suggestions for names that are not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MIN_PREFIX_LETTERS = 3
"""Typed letters that are enough to match the beginning of a name."""


def did_you_mean(name: str, known: Iterable[str], shown: str = "{}", closeness: float = 0.5) -> str:
    """Suggest the closest known name for an unknown one.

    A name that begins with ``name`` is preferred, the shortest one first. Otherwise the name with
    the most similar spelling is chosen.

    Args:
        name: what the user typed.
        known: the names to choose from. ``name`` itself is never suggested.
        shown: how the suggestion is written; ``{}`` stands for the name.
        closeness: least similarity of spelling, from 0 to 1.

    Returns:
        `` Did you mean '…'?``, to be put after a sentence; empty where no name is close.
    """
    wanted = name.lower()
    candidates = [each for each in known if each != name]
    beginnings = [each for each in candidates if each.startswith(wanted)]
    if len(wanted) >= MIN_PREFIX_LETTERS and beginnings:
        nearest = min(beginnings, key=len)
    else:
        similar = get_close_matches(wanted, candidates, n=1, cutoff=closeness)
        if not similar:
            return ""
        nearest = similar[0]
    return f" Did you mean '{shown.format(nearest)}'?"
