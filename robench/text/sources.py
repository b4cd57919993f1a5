"""Where the substitutes of a surface come from: a dictionary, or something that reads the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from robench.text.links import SMALL, STEPS, Links
from robench.text.substitutions import Lookup, SubstitutionSet

Substitutes = dict[int, tuple[str, ...]]
"""Index of a word -> the words that may replace it, without the word itself."""


class SubstituteSource(Protocol):
    """What may replace the words of a text. ``SubstitutionSet`` is the usual source.

    A source reads the original text only, so a surface stays frozen.
    """

    @property
    def name(self) -> str:
        """The name in records."""

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of everything that decides the substitutes, apart from the code."""

    def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
        """Return the substitutes of the words of one text that have any.

        Args:
            words: all words of the original text.
            lookup: see ``SubstitutionSet.of``.
            stop: words from this index on get no substitutes.
        """


class WithoutPairs:
    """A source without the pairs of other sets, and without the words that these sets link.

    Direction and case make no difference; see ``Links``.

    Args:
        source: the source.
        others: the sets whose linked words are left out.
    """

    def __init__(self, source: SubstituteSource, others: Sequence[SubstitutionSet]) -> None:
        self._source = source
        self._others = tuple({each.sha256: each for each in others}.values())
        self._links = tuple(Links(each._neighbours) for each in self._others)
        names = " and ".join(dict.fromkeys(each.name for each in self._others))
        self.name = f"{source.name} without {names}"
        rule = f"linked {STEPS} {SMALL}"
        hashes = "\n".join([source.sha256, *sorted(each.sha256 for each in self._others), rule])
        self.sha256 = hashlib.sha256(hashes.encode()).hexdigest()

    def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
        """See ``SubstituteSource``."""
        found = self._source.of_text(words, lookup, stop)
        kept = {
            position: tuple(other for other in listed if not self._known(words[position], other))
            for position, listed in found.items()
        }
        return {position: listed for position, listed in kept.items() if listed}

    def own_pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs of the sets whose linked words are left out."""
        for each in self._others:
            for head, listed in each._neighbours.items():
                yield from ((head, other) for other in listed)

    def _known(self, word: str, other: str) -> bool:
        return any(each.linked(word, other) for each in self._links)
