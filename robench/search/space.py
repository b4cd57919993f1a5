"""All that a search sees: the space of one example and the questions it may ask the victim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Choice = NDArray[np.int16]
"""``(words,)``: which option stands at each position; zeros are the original text."""


class BudgetSpent(Exception):
    """Raised by the oracle when the query budget of this example is used up; searches let it pass.

    A question that exceeds the budget is cut, not refused: its first rows are asked, and a text among them that fools the victim counts as found,
    though the search never sees the answers. So a search whose questions are large is not cheated of what it could afford, and more budget never
    finds less.
    """


@dataclass(frozen=True)
class SearchSpace:
    """The substitutions allowed in one example.

    Attributes:
        words: the words of the attackable field, in order.
        options: ``options[i][0] == words[i]``; the rest are the substitutes of word i. Only visible, substitutable positions have more than one.
        visible: words from this index on lie outside the victim's window and never have options.
    """

    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    visible: int

    def __post_init__(self) -> None:
        if len(self.words) != len(self.options):
            raise ValueError(f"{len(self.words)} words but {len(self.options)} lists of options")
        for position, (word, options) in enumerate(zip(self.words, self.options, strict=True)):
            if not options or options[0] != word:
                raise ValueError(f"option 0 of position {position} must be its word {word!r}, got {options[:1]}")
            if position >= self.visible and len(options) > 1:
                raise ValueError(f"position {position} is beyond the victim's window ({self.visible} words) and must have no substitutes")

    @cached_property
    def sizes(self) -> NDArray[np.int16]:
        """``(words,)``: how many options each position has, the original included (>= 1). Read-only."""
        sizes = np.fromiter((len(options) for options in self.options), dtype=np.int16, count=len(self.options))
        sizes.setflags(write=False)
        return sizes

    @cached_property
    def positions(self) -> NDArray[np.intp]:
        """Indices of the positions with more than one option, ascending. Read-only."""
        positions = np.flatnonzero(self.sizes > 1)
        positions.setflags(write=False)
        return positions

    @cached_property
    def cardinality(self) -> int:
        """Number of choices in the space, the original included: an exact (possibly huge) integer."""
        return prod(len(options) for options in self.options)

    def original(self) -> Choice:
        """The choice that leaves the text as it is."""
        return np.zeros(len(self.words), dtype=np.int16)

    def contains(self, choice: Choice) -> bool:
        """Whether ``choice`` names an option that exists at every position."""
        return choice.shape == (len(self.words),) and bool(np.all(choice >= 0) and np.all(choice < self.sizes))

    def text(self, choice: Choice) -> tuple[str, ...]:
        """The words that ``choice`` stands for."""
        return tuple(options[index] for options, index in zip(self.options, choice.tolist(), strict=True))


class Oracle(Protocol):
    """What a search may ask; every question is counted and charged to the budget here and nowhere else.

    Calls block: the engine answers them together with those of other searches. Any of them raises BudgetSpent. A text of the space that was answered
    and fools the victim is not lost: where what a search returned is not believed, or nothing was, the core judges the first such texts in turn.
    """

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """The victim's logits, ``(batch, words) -> (batch, classes)``."""

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Softmax of ``logits``, ``(batch, words) -> (batch, classes)``; rows sum to 1."""

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """``choice`` with the word at each one of ``positions`` replaced by the unknown token, ``-> (len(positions), classes)``.

        PWWS's saliency probes (Ren et al. 2019, Eq. 5). They lie outside the space: a search can learn from them, never return them.
        """


class TextOracle(Protocol):
    """What an attack outside the surface may ask; counted, answered from memory and parked as ``Oracle`` does."""

    @property
    def budget(self) -> int | None:
        """How many texts may be asked about, repeats included; None for no bound. One that is exceeded raises BudgetSpent."""

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The attackable field's texts, the other fields as they are, ``-> (texts, classes)``; ``[UNK]`` in a text is the victim's unknown token."""
