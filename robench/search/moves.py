"""What several searches need: the neighbours of a text, margins, and asking in blocks until something fools."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from robench.search.space import Choice, Oracle, SearchSpace

Choices = NDArray[np.int16]
"""``(batch, words)``."""


def single_substitutions(space: SearchSpace) -> tuple[NDArray[np.intp], Choices]:
    """Every single substitution of the space, position after position, option after option (never the original): positions and options, ``(n,)`` each."""
    counts = space.sizes[space.positions].astype(np.intp) - 1
    return np.repeat(space.positions, counts), (rank_within_owner(counts) + 1).astype(np.int16)


def rank_within_owner(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The number from 0 of each thing among those of its owner, ``(sum of counts,)``: owners with 2 and 3 things give 0 1 0 1 2."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def with_each_change(
    choice: Choice, positions: NDArray[np.intp], options: NDArray[np.int16]
) -> Choices:
    """One copy of ``choice`` for each of the pairs ``(n,)``, that position set to that option: ``(n, words)``."""
    choices = np.repeat(choice[None], len(positions), axis=0)
    choices[np.arange(len(positions)), positions] = options
    return choices


def genes_to_choices(genes: NDArray[np.int16], space: SearchSpace) -> Choices:
    """Options at the substitutable positions, ``(batch, positions)``, as choices over all words."""
    choices = np.zeros((len(genes), len(space.words)), dtype=np.int16)
    choices[:, space.positions] = genes
    return choices


def margins_of(logits: NDArray[np.float32], label: int | NDArray[np.intp]) -> NDArray[np.float32]:
    """``(batch, classes)`` -> ``(batch,)``: the logit of the label (one for all, or one a row) less the best other one; negative where the victim is wrong."""
    rows = np.arange(len(logits))
    others = np.array(logits)
    others[rows, label] = -np.inf
    return np.asarray(logits[rows, label] - others.max(axis=1))


def find_misclassified(choices: Choices, answers: NDArray[np.float32], label: int) -> Choice | None:
    """The first of ``choices`` that its answer (logits or probabilities, ``(batch, classes)``) shows misclassified; None where there is none."""
    wrong = np.flatnonzero(answers.argmax(axis=1) != label)
    return np.array(choices[wrong[0]]) if len(wrong) else None


def ask_until_misclassified(oracle: Oracle, blocks: Iterable[Choices], label: int) -> Choice | None:
    """Ask block after block, and take no further one when a text of it is misclassified. Needs nothing but labels."""
    for block in blocks:
        found = find_misclassified(block, oracle.probs(block), label)
        if found is not None:
            return found
    return None
