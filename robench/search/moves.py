"""Functions that several searches share.

They list the neighbours of a text and query texts in blocks until one fools the victim.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from robench.search.oracle_interface import Oracle
from robench.text.space import Choice, SearchSpace

Choices = NDArray[np.int16]
"""Several choices, ``(batch, words)``."""


def single_substitutions(space: SearchSpace) -> tuple[NDArray[np.intp], Choices]:
    """List every single substitution of the space, position by position, option by option.

    The original word is not among the options.

    Returns:
        Positions ``(n,)`` and options ``(n,)``.
    """
    counts = space.sizes[space.positions].astype(np.intp) - 1
    return np.repeat(space.positions, counts), (rank_within_owner(counts) + 1).astype(np.int16)


def rank_within_owner(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the things of each owner from 0.

    Owners with 2 and 3 things give 0 1 0 1 2.

    Returns:
        ``(sum of counts,)``.
    """
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def with_each_change(
    choice: Choice, positions: NDArray[np.intp], options: NDArray[np.int16]
) -> Choices:
    """Return one copy of ``choice`` per pair, with that position set to that option.

    Args:
        positions, options: the pairs, ``(n,)`` each.

    Returns:
        ``(n, words)``.
    """
    choices = np.repeat(choice[None], len(positions), axis=0)
    choices[np.arange(len(positions)), positions] = options
    return choices


def genes_to_choices(genes: NDArray[np.int16], space: SearchSpace) -> Choices:
    """Turn options at the substitutable positions ``(batch, positions)`` into choices."""
    choices = np.zeros((len(genes), len(space.words)), dtype=np.int16)
    choices[:, space.positions] = genes
    return choices


def find_misclassified(choices: Choices, answers: NDArray[np.float32], label: int) -> Choice | None:
    """Return the first misclassified choice; None if there is none.

    Args:
        answers: logits or probabilities of the choices, ``(batch, classes)``.
    """
    wrong = np.flatnonzero(answers.argmax(axis=1) != label)
    return np.array(choices[wrong[0]]) if len(wrong) else None


def ask_until_misclassified(oracle: Oracle, blocks: Iterable[Choices], label: int) -> Choice | None:
    """Query block after block until a text is misclassified, and return it; None if none is.

    Hard labels are enough for this. Logits are asked for, because probabilities in fp32 can be
    equal where logits differ.
    """
    for block in blocks:
        found = find_misclassified(block, oracle.logits(block), label)
        if found is not None:
            return found
    return None
