"""The search space of one example: which words may stand at which position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

Choice = NDArray[np.int16]
"""``(words,)``: the index of the option at each position; zeros are the original text."""


@dataclass(frozen=True)
class SearchSpace:
    """The substitutions allowed in one example.

    Attributes:
        words: the words of the attackable field, in order.
        options: ``options[i][0]`` is ``words[i]``; the rest are the substitutes of word i. Only
            visible positions whose word has substitutes have more than one option.
        visible: words from this index on lie outside the victim's window and have no substitutes.
    """

    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    visible: int

    def __post_init__(self) -> None:
        if len(self.words) != len(self.options):
            raise ValueError(f"{len(self.words)} words but {len(self.options)} lists of options")
        for position, (word, options) in enumerate(zip(self.words, self.options, strict=True)):
            if not options or options[0] != word:
                raise ValueError(
                    f"option 0 of position {position} must be its word {word!r}, got {options[:1]}"
                )
            if position >= self.visible and len(options) > 1:
                raise ValueError(
                    f"position {position} is beyond the victim's window ({self.visible} words) "
                    "and must have no substitutes"
                )

    @cached_property
    def sizes(self) -> NDArray[np.int16]:
        """``(words,)``: the number of options at each position, at least 1. Read-only."""
        sizes = np.fromiter(
            (len(options) for options in self.options), dtype=np.int16, count=len(self.options)
        )
        sizes.setflags(write=False)
        return sizes

    @cached_property
    def positions(self) -> NDArray[np.intp]:
        """The positions with more than one option, ascending. Read-only."""
        positions = np.flatnonzero(self.sizes > 1)
        positions.setflags(write=False)
        return positions

    @cached_property
    def cardinality(self) -> int:
        """The exact number of choices in the space, the original included; it may be huge."""
        return prod(len(options) for options in self.options)

    def original(self) -> Choice:
        """Return the choice that leaves the text unchanged."""
        return np.zeros(len(self.words), dtype=np.int16)

    def contains(self, choice: Choice) -> bool:
        """Return whether ``choice`` names an existing option at every position."""
        return choice.shape == (len(self.words),) and bool(
            np.all(choice >= 0) and np.all(choice < self.sizes)
        )

    def text(self, choice: Choice) -> tuple[str, ...]:
        """Return the words that ``choice`` selects."""
        return tuple(
            options[index] for options, index in zip(self.options, choice.tolist(), strict=True)
        )
