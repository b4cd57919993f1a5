"""The nearest name, for the sentence about one that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LEAST = 3
"""Letters that are enough for a beginning."""


def did_you_mean(name: str, known: Iterable[str], shown: str = "{}", closeness: float = 0.5) -> str:
    """`` Did you mean '…'?``, to stand behind a sentence: the shortest of ``known`` that begins so, else the one spelt most like it; empty where none is near.

    Args:
        shown: how the name is written, ``{}`` for itself.
        closeness: of the spelling, 0 to 1.
    """
    wanted, names = name.lower(), list(known)
    begun = sorted(
        (each for each in names if len(wanted) >= LEAST and each.startswith(wanted)), key=len
    )
    near = begun or get_close_matches(wanted, names, n=1, cutoff=closeness)
    return f" Did you mean '{shown.format(near[0])}'?" if near else ""
