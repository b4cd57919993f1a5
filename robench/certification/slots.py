"""A space as a victim sees it: which token ids may stand at which place of a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench.search.moves import single_substitutions, with_each_change

if TYPE_CHECKING:
    from robench.search.victim_protocol import Candidates
    from robench.text.space import SearchSpace


@dataclass(frozen=True)
class Slots:
    """The tokens of one example and what may replace them.

    Substitutes that have one token id are one slot, because the victim reads the same row. A
    position all of whose substitutes are the original token is left out.

    Attributes:
        ids: ``(tokens,)`` of the original text.
        types: ``(tokens,)`` token types.
        columns: for each position with a choice, the index of its token.
        tokens: for each of these positions, the token ids, the original one first.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    columns: tuple[int, ...]
    tokens: tuple[tuple[int, ...], ...]

    @cached_property
    def cardinality(self) -> int:
        """Number of different rows."""
        return prod(map(len, self.tokens))

    def restricted(self, position: int, token: int) -> Slots:
        """Return the slots with one position fixed to one of its tokens."""
        ids = self.ids.copy()
        ids[self.columns[position]] = token
        left = [index for index in range(len(self.columns)) if index != position]
        return Slots(
            ids,
            self.types,
            tuple(self.columns[index] for index in left),
            tuple(self.tokens[index] for index in left),
        )

    def rows(self, start: int, stop: int) -> NDArray[np.int32]:
        """Return the rows with these numbers ``(stop - start, tokens)``; 0 is the original."""
        numbers = np.arange(start, stop)
        rows = np.repeat(self.ids[None], len(numbers), axis=0)
        for column, tokens in zip(self.columns, self.tokens, strict=True):
            numbers, digits = np.divmod(numbers, len(tokens))
            rows[:, column] = np.asarray(tokens, dtype=np.int32)[digits]
        return rows


def slots_of(
    space: SearchSpace, candidates: Candidates, *, aligned: bool, longest: int
) -> Slots | None:
    """Return the slots of a space, or None where a substitute does not keep to one token.

    Every choice must be its single substitutions side by side. It is if each of them changes one
    token of a row of unchanged length, if two positions never share a token, and if no row is cut.
    Where each word is one token, a cut row stays in step.

    Args:
        aligned: whether each word is one token.
        longest: the number of tokens at which rows are cut.
    """
    (ids,), (length,) = candidates.encode(space.original()[None])
    types = candidates.types(int(length))
    positions, options = single_substitutions(space)
    if not len(positions):
        return Slots(ids[:length], types, (), ())
    changes = with_each_change(space.original(), positions, options)
    rows, lengths = candidates.encode(changes)
    if (lengths != length).any() or (length >= longest and not aligned):
        return None
    found: dict[int, dict[int, None]] = {}
    owners: dict[int, int] = {}
    for row, position in zip(rows[:, :length], positions.tolist(), strict=True):
        differing = np.flatnonzero(row != ids[:length]).tolist()
        if not differing:
            continue
        (column, *more) = differing
        if more or owners.setdefault(column, position) != position:
            return None
        found.setdefault(column, {int(ids[column]): None})[int(row[column])] = None
    # Two columns of one position would depend on each other.
    if len(set(owners.values())) != len(owners):
        return None
    columns = tuple(sorted(found))
    return Slots(ids[:length], types, columns, tuple(tuple(found[each]) for each in columns))
