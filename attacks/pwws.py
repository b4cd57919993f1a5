"""PWWS: probability-weighted word saliency (Ren et al., ACL 2019).

The substitutes come from the substitution set of RIFT's evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    ask_until_misclassified,
    exact_softmax,
    log_odds,
    shares_of_clean,
    single_substitutions,
    with_each_change,
)

BLOCK = 8
"""Texts of the final walk queried at once."""

Drops = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Logits ``(batch, classes)`` -> how far each text's score lies below the clean text's."""


@ATTACKS.register("pwws")
class Pwws(Attack):
    """Apply one substitute a position in the order of saliency x drop.

    The saliency of word i is the drop of the score when the unknown token stands at i. A softmax
    is taken over the saliencies of all visible words. The substitute of position i is the one that
    lowers the score most in the original text; this drop is drop_i. The score is the text's
    log-odds as a share of the clean text's, so the scale of the logits cancels. With
    ``scores=probabilities`` it is p_y, as published.

    The positions are changed one after another in descending order of softmax(saliency)_i x drop_i,
    until the prediction changes. A position is changed even if its drop is not positive.
    """

    paper = (
        "Ren et al., Generating Natural Language Adversarial Examples through Probability Weighted"
        " Word Saliency, ACL 2019"
    )
    cost = (
        "the text itself, one probe for each word, every single substitution, and one"
        " for each substitutable word"
    )
    deviations = (
        "Saliencies and drops are shares of the clean text's log-odds, so that the scale of the"
        " logits decides nothing; scores=probabilities takes differences of p_y, as published.",
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

    class Options(Attack.Options):
        """What saliencies and drops are measured in."""

        scores: Literal["log-odds", "probabilities"] = Field(
            "log-odds",
            description="Whether saliencies and drops are shares of the clean text's log-odds, or"
            " differences of p_y as published.",
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        clean = oracle.logits(space.original()[None])
        visible = np.arange(min(space.visible, len(space.words)))
        drops = self._drops(clean, label)
        saliency = drops(oracle.logits_without(space.original(), visible))
        best, drop = _best_substitutes(space, oracle, drops)
        score = exact_softmax(saliency)[space.positions] * drop
        walk = _walk(space, best, np.argsort(-score, kind="stable"))
        return ask_until_misclassified(oracle, _blocks(walk), label)

    def _drops(self, clean: NDArray[np.float32], label: int) -> Drops:
        """Return the function from logits to the drops against ``clean``, ``(1, classes)``."""
        if self.options.scores == "probabilities":
            before = _fp32_probabilities(clean, label)[0]
            return lambda logits: before - _fp32_probabilities(logits, label)
        odds = float(log_odds(clean, label)[0])
        return lambda logits: 1 - shares_of_clean(log_odds(logits, label), odds)


def _fp32_probabilities(logits: NDArray[np.float32], label: int) -> NDArray[np.float64]:
    """Return p_y ``(batch,)`` as the releases see it: it is 1 where fp32 has no nearer number."""
    return exact_softmax(logits)[:, label].astype(np.float32).astype(np.float64)


def _best_substitutes(
    space: SearchSpace, oracle: Oracle, drops: Drops
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the best option of each substitutable position and its drop.

    The original word is not among the options. One query asks about all of them.
    """
    positions, options = single_substitutions(space)
    found = drops(oracle.logits(with_each_change(space.original(), positions, options)))
    starts = np.searchsorted(positions, space.positions)
    best = starts + np.array([own.argmax() for own in np.split(found, starts[1:])])
    return options[best], found[best]


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
