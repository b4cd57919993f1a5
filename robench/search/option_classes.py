"""Find the options of a space that a victim cannot tell apart."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robench.search.victim_protocol import Candidates
from robench.text.space import SearchSpace


@dataclass(frozen=True)
class OptionClasses:
    """Class numbers of options; options that are the same to the victim share a number.

    Two unknown words are an example.

    Attributes:
        table: the class number of every option, position after position.
        starts: where the options of each substitutable position begin in ``table``.
        distinct: how many texts of the space the victim can tell apart.
    """

    table: NDArray[np.uint8 | np.uint16]
    starts: NDArray[np.intp]
    distinct: int


def option_classes(
    space: SearchSpace, candidates: Candidates, *, aligned: bool, longest: int
) -> OptionClasses:
    """Compare the token ids of every single substitution.

    Options with equal ids share a number only if they are the same whatever the other words are.
    This holds where every word keeps its place in every row. It does so if each word is one
    token, or if all single substitutions make rows of one length and none is cut. In any other
    case each option has its own number.

    Args:
        aligned: whether each word is one token.
        longest: the number of tokens at which rows are cut.
    """
    sizes = space.sizes[space.positions].astype(np.intp)
    starts = np.empty(0, dtype=np.intp)
    if len(sizes):
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    table = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    distinct = space.cardinality
    if len(sizes):
        choices = np.zeros((len(table), len(space.words)), dtype=np.int16)
        choices[np.arange(len(table)), np.repeat(space.positions, sizes)] = table
        ids, lengths = candidates.encode(choices)
        if aligned:
            # Rows of one position differ in one token at most, so their sums tell them apart.
            table, distinct = _merged(ids.sum(axis=1, dtype=np.int64).tolist(), starts, sizes)
        elif (lengths == lengths[0]).all() and lengths[0] < longest:
            table, distinct = _merged([row.tobytes() for row in ids], starts, sizes)
    # Keys are made of these numbers, so the smallest type keeps the keys short.
    small: NDArray[np.uint8 | np.uint16]
    if not len(sizes) or sizes.max() <= 256:
        small = table.astype(np.uint8)
    else:
        small = table.astype(np.uint16)
    return OptionClasses(small, starts, distinct)


def _merged(
    rows: Sequence[Hashable], starts: NDArray[np.intp], sizes: NDArray[np.intp]
) -> tuple[NDArray[np.intp], int]:
    """Number the different rows of each position.

    Returns:
        The numbers, and the product over positions of how many there are.
    """
    table: list[int] = []
    distinct = 1
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        numbers: dict[Hashable, int] = {}
        table += [numbers.setdefault(row, len(numbers)) for row in rows[start : start + size]]
        distinct *= len(numbers)
    return np.array(table, dtype=np.intp), distinct
