"""TextFooler: the words in the order of their importance, each replaced by its best substitute.

It is the search of Jin et al. (AAAI 2020) over the surface that all attacks here share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import change_in_order, largest_first, log_odds


@ATTACKS.register("textfooler")
class TextFooler(Attack):
    """Replace the most important word first, by the substitute that lowers the log-odds most.

    A word is important if the log-odds of the label drop when the unknown token stands in its
    place. If the predicted class changes as well, the rise of the new class's log-odds is added.

    The positions are changed in descending order of importance, each once. Of several substitutes
    that fool the victim, the first one in the substitution set is taken. Without any, the
    substitute with the least log-odds is kept if it lowers them.
    """

    paper = (
        "Jin et al., Is BERT Really Robust? A Strong Baseline for Natural Language Attack on Text"
        " Classification and Entailment, AAAI 2020, Algorithm 1"
    )
    cost = (
        "the text itself, one probe for each substitutable word, and each substitute of"
        " the words that it tries"
    )
    deviations = (
        "Substitutes come from the task's substitution set, where the paper takes up to 50"
        " neighbours of counter-fitted vectors; the surface alone decides which words may change,"
        " so the search itself has no list of stop words and no part-of-speech filter. Of the sets,"
        " wordnet, embeddings and masked-lm leave function words alone.",
        "There is no sentence encoder: the paper drops texts that are less similar than a"
        " threshold, and takes the most similar of those that fool. Here the first one in the"
        " order of the substitution set is taken (in the published set the nearest neighbour).",
        "For the importance a word becomes the unknown token, as in the release ('<oov>'); the"
        " paper deletes it.",
        "Log-odds take the place of probabilities in the importance and in the choice of"
        " substitutes, so that no decision depends on the scale of the logits.",
        "Words without substitutes are not probed, because they cannot be changed.",
        "A substitute is kept if it lowers the log-odds of the current text, as in Algorithm 1; the"
        " release compares with the original text.",
    )

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        original = space.original()
        clean = oracle.logits(original[None])
        probes = oracle.logits_without(original, space.positions)
        order = space.positions[largest_first(_importance(clean, probes, label))]
        odds = float(log_odds(clean, label)[0])
        return change_in_order(space, oracle, label, order.tolist(), odds)


def _importance(
    clean: NDArray[np.float32], probes: NDArray[np.float32], label: int
) -> NDArray[np.float64]:
    """Return the importance of each probed word (the paper's Eq. 2), in log-odds.

    Args:
        clean: logits of the original text, ``(1, classes)``.
        probes: logits with one word unknown, ``(words, classes)``.

    Returns:
        ``(words,)``.
    """
    drop = log_odds(clean, label) - log_odds(probes, label)
    predicted = probes.argmax(axis=1)
    of_original = log_odds(np.repeat(clean, len(probes), axis=0), predicted)
    rise = log_odds(probes, predicted) - of_original
    return np.where(predicted == label, drop, drop + rise)
