"""The search space of one example: which words may stand at which position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Choice = NDArray[np.int16]
"""``(words,)``: the index of the option at each position; zeros are the original text."""

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The substitutions allowed in one example; it cannot be changed.

    Attributes:
        words: the words of the attackable field, in order.
        options: ``options[i][0]`` is ``words[i]``; the rest are the substitutes of word i. Only
            visible positions whose word has substitutes have more than one option.
        visible: words from this index on lie outside the victim's window and have no substitutes.
        sizes: ``(words,)``: the number of options at each position, at least 1. Read-only.
        positions: the positions with more than one option, ascending. Read-only.
        cardinality: the exact number of choices in the space, the original included; it may be
            huge.
    """

    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    visible: int
    sizes: NDArray[np.int16] = field(init=False, repr=False, compare=False)
    positions: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    cardinality: int = field(init=False, repr=False, compare=False)

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
        counts = [len(options) for options in self.options]
        sizes = np.array(counts, dtype=np.int16)
        # A frozen dataclass sets its own attributes in this way.
        object.__setattr__(self, "sizes", _read_only(sizes))
        object.__setattr__(self, "positions", _read_only(np.flatnonzero(sizes > 1)))
        object.__setattr__(self, "cardinality", prod(counts))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the space is made of, because pickled arrays can be written to."""
        return type(self), (self.words, self.options, self.visible)

    def for_search(self) -> SearchSpace:
        """Return an equal space with arrays of its own, which a search may hold."""
        twin = object.__new__(SearchSpace)
        # The parts have been checked, and tuples of texts cannot be changed.
        for name in ("words", "options", "visible", "cardinality"):
            object.__setattr__(twin, name, getattr(self, name))
        object.__setattr__(twin, "sizes", _read_only(self.sizes))
        object.__setattr__(twin, "positions", _read_only(self.positions))
        return twin

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


def _read_only(array: NDArray[Number]) -> NDArray[Number]:
    """Return a copy ``(n,)`` that ``setflags`` cannot make writable, because it lies in bytes."""
    return np.ndarray(array.shape, array.dtype, array.tobytes())


def check_words(space: SearchSpace, words: Mapping[str, Sequence[str]], attackable: str) -> None:
    """Raise ValueError where a space is not about the words of the attackable field.

    Args:
        space: the space.
        words: the words of every field.
        attackable: name of the field.
    """
    if tuple(words[attackable]) != space.words:
        raise ValueError(f"the space's words are not those of field '{attackable}'")
