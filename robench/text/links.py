"""Which words a substitution set brings together, directly or through other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

STEPS: Final = 3
"""Most substitutions between two linked words."""
SMALL: Final = 200
"""Most words of a group in which every word is linked with every other."""


class Links:
    """The links of the words of one substitution set, in both directions and in any case.

    A defense may train on more than the listed pairs: on substitutes of substitutes, or on whole
    groups of words that substitutions connect. So two words are linked if at most ``STEPS``
    substitutions lead from one to the other, or if their group has at most ``SMALL`` words.

    Args:
        listed: word -> its substitutes. It is read when the first link is asked for.
    """

    def __init__(self, listed: Mapping[str, Sequence[str]]) -> None:
        self._listed = listed
        self._reached: dict[str, frozenset[str]] = {}

    def linked(self, word: str, other: str) -> bool:
        """Return whether two words are linked."""
        one, two = word.lower(), other.lower()
        if one not in self._neighbours or two not in self._neighbours:
            return False
        if one not in self._reached:
            self._reached[one] = self._reach(one)
        return two in self._reached[one]

    @cached_property
    def _neighbours(self) -> dict[str, set[str]]:
        """Word -> the words that stand beside it in a pair, all in lower case."""
        found: dict[str, set[str]] = {}
        for head in self._listed:
            for substitute in self._listed[head]:
                one, other = head.lower(), substitute.lower()
                found.setdefault(one, set()).add(other)
                found.setdefault(other, set()).add(one)
        return found

    def _reach(self, word: str) -> frozenset[str]:
        """Return the words that are linked with ``word``."""
        seen, shell, steps = {word}, {word}, 0
        near: frozenset[str] | None = None
        # A group that is larger than SMALL counts up to STEPS only.
        while shell and (near is None or len(seen) <= SMALL):
            shell = {other for one in shell for other in self._neighbours[one]} - seen
            seen |= shell
            steps += 1
            if steps == STEPS:
                near = frozenset(seen)
        return near if near is not None and len(seen) > SMALL else frozenset(seen)
