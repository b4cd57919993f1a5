"""PWWS: probability-weighted word saliency (Ren et al., ACL 2019).

The substitutes come from the substitution set of RIFT's evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    ask_until_misclassified,
    exact_softmax,
    single_substitutions,
    with_each_change,
)

BLOCK = 8
"""Texts of the final walk queried at once."""


@ATTACKS.register("pwws")
class Pwws(Attack):
    """Apply one substitute a position in the order of saliency x drop.

    The saliency of word i is p_y(x) - p_y(x with the unknown token at i). A softmax is taken over
    the saliencies of all visible words. The substitute of position i is the one that lowers p_y
    most in the original text; this drop is drop_i.

    The positions are changed one after another in descending order of softmax(saliency)_i x drop_i,
    until the prediction changes. A position is changed even if its drop is not positive.
    """

    paper = (
        "Ren et al., Generating Natural Language Adversarial Examples through Probability Weighted"
        " Word Saliency, ACL 2019"
    )
    deviations = (
        "Substitutes come from the task's substitution set instead of WordNet and named entities,"
        " as in RIFT (Dong et al. 2021, 3.1).",
        "For the saliency a word becomes the unknown token, as Ren et al. state; the RIFT release"
        " puts the ordinary word 'NULL' there.",
        "A text of the single substitutions or of the walk that fools the victim counts, even if"
        " the walk ends on one that does not.",
        f"The final walk is queried in blocks of up to {BLOCK} steps, so up to {BLOCK - 1} queries"
        " after the change are counted; the text found is the same.",
    )
    language_model = False

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        clean = oracle.probs(space.original()[None])[0, label]
        visible = np.arange(min(space.visible, len(space.words)))
        saliency = clean - oracle.probs_without(space.original(), visible)[:, label]
        best, drop = _best_substitutes(space, oracle, label, clean)
        score = exact_softmax(saliency)[space.positions] * drop
        walk = _walk(space, best, np.argsort(-score, kind="stable"))
        return ask_until_misclassified(oracle, _blocks(walk), label)


def _best_substitutes(
    space: SearchSpace, oracle: Oracle, label: int, clean: np.float32
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the best option of each substitutable position and how far it lowers p_y.

    The original word is not among the options. One query asks about all of them.
    """
    positions, options = single_substitutions(space)
    singles = with_each_change(space.original(), positions, options)
    drops = np.float64(clean) - oracle.probs(singles)[:, label].astype(np.float64)
    starts = np.searchsorted(positions, space.positions)
    best = starts + np.array([own.argmax() for own in np.split(drops, starts[1:])])
    return options[best], drops[best]


def _walk(
    space: SearchSpace, best: NDArray[np.int16], order: NDArray[np.intp]
) -> NDArray[np.int16]:
    """Return ``(positions, words)``: row k has the first k + 1 positions of ``order`` changed."""
    walk = np.zeros((len(order), len(space.words)), dtype=np.int16)
    for step, index in enumerate(order.tolist()):
        walk[step:, space.positions[index]] = best[index]
    return walk


def _blocks(walk: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """Yield the rows of the walk in blocks."""
    for start in range(0, len(walk), BLOCK):
        yield walk[start : start + BLOCK]
