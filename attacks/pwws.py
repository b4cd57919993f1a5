"""PWWS: probability-weighted word saliency (Ren et al., ACL 2019), over the substitution set of RIFT's evaluation."""

from __future__ import annotations

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
"""Steps of the final walk asked at once."""


@ATTACKS.register("pwws")
class Pwws(Attack):
    """One substitute a position, chosen on the original text; applied in the order of saliency times drop until the prediction changes.

    Saliency of word i: p_y(x) - p_y(x with the unknown token at i), softmax over all visible words. Best substitute of i: the largest drop of p_y on the
    original text. Positions are changed cumulatively in descending order of softmax(saliency)_i x drop_i, also where the drop is not positive.
    """

    paper = "Ren et al., Generating Natural Language Adversarial Examples through Probability Weighted Word Saliency, ACL 2019"
    deviations = (
        "Substitutes come from the task's substitution set instead of WordNet and named entities, as in RIFT (Dong et al. 2021, 3.1).",
        "The word whose saliency is asked becomes the unknown token, as Ren et al. state; the RIFT release puts the ordinary word 'NULL' there.",
        "A text of the single substitutions or of the walk that fools counts, even if the walk ends on one that does not.",
        "The final walk is asked in blocks of up to 8 steps, so up to 7 questions beyond the change are counted; the text found is the same.",
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
        return ask_until_misclassified(
            oracle, (walk[start : start + BLOCK] for start in range(0, len(walk), BLOCK)), label
        )


def _best_substitutes(
    space: SearchSpace, oracle: Oracle, label: int, clean: np.float32
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """For each substitutable position its best option (never the original) and how far that lowers p_y; all of them in one question."""
    positions, options = single_substitutions(space)
    drops = np.float64(clean) - oracle.probs(
        with_each_change(space.original(), positions, options)
    )[:, label].astype(np.float64)
    starts = np.searchsorted(positions, space.positions)
    best = starts + np.array([own.argmax() for own in np.split(drops, starts[1:])])
    return options[best], drops[best]


def _walk(
    space: SearchSpace, best: NDArray[np.int16], order: NDArray[np.intp]
) -> NDArray[np.int16]:
    """``(positions, words)``: row k has the first k + 1 positions of ``order`` changed."""
    walk = np.zeros((len(order), len(space.words)), dtype=np.int16)
    for step, index in enumerate(order.tolist()):
        walk[step:, space.positions[index]] = best[index]
    return walk
