"""What several searches need: the neighbours of a text, margins, and asking in blocks until something fools."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from robench.search.space import Choice, Oracle, SearchSpace

Choices = NDArray[np.int16]
"""``(batch, words)``."""


def substitutions(space: SearchSpace) -> tuple[NDArray[np.intp], Choices]:
    """Every single substitution of the space, position after position, option after option (never the original): positions and options, ``(n,)`` each."""
    counts = space.sizes[space.positions].astype(np.intp) - 1
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(space.positions, counts), (np.arange(counts.sum()) - first + 1).astype(np.int16)


def changed(choice: Choice, positions: NDArray[np.intp], options: NDArray[np.int16]) -> Choices:
    """One copy of ``choice`` for each of the pairs ``(n,)``, that position set to that option: ``(n, words)``."""
    choices = np.repeat(choice[None], len(positions), axis=0)
    choices[np.arange(len(positions)), positions] = options
    return choices


def expand(genes: NDArray[np.int16], space: SearchSpace) -> Choices:
    """Options at the substitutable positions, ``(batch, positions)``, as choices over all words."""
    choices = np.zeros((len(genes), len(space.words)), dtype=np.int16)
    choices[:, space.positions] = genes
    return choices


def margins_of(logits: NDArray[np.float32], label: int) -> NDArray[np.float32]:
    """``(batch, classes)`` -> ``(batch,)``: the label's logit less the best other one; negative where the victim is wrong."""
    others = np.delete(logits, label, axis=1)
    return np.asarray(logits[:, label] - others.max(axis=1))


def fooling(choices: Choices, answers: NDArray[np.float32], label: int) -> Choice | None:
    """The first of ``choices`` that its answer (logits or probabilities, ``(batch, classes)``) shows misclassified; None where there is none."""
    wrong = np.flatnonzero(answers.argmax(axis=1) != label)
    return np.array(choices[wrong[0]]) if len(wrong) else None


def first_fooling(oracle: Oracle, blocks: Iterable[Choices], label: int) -> Choice | None:
    """Ask block after block, and take no further one when a text of it is misclassified. Needs nothing but labels."""
    for block in blocks:
        found = fooling(block, oracle.probs(block), label)
        if found is not None:
            return found
    return None
