"""BERT-Attack: substitutes from a masked language model, the most important words first.

It is the search of Li et al. (EMNLP 2020) over a surface of masked-language-model candidates.
"""

from __future__ import annotations

from math import floor

import numpy as np
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import change_in_order, largest_first, log_odds


@ATTACKS.register("bert-attack")
class BertAttack(Attack):
    """Replace the words that matter most, by words that a masked language model finds likely.

    A word matters by the drop of the label's log-odds when the unknown token stands in its place.
    The positions are changed in descending order of this drop, each once. The first candidate
    that fools the victim is taken. Without any, the candidate with the least log-odds is kept if
    it lowers them.

    The candidates are those of the substitution set ``masked-lm``, and not the task's own. A
    masked language model proposes what fits the sentence, and so opposites too: "brilliant" becomes
    "horrible". Many successes change the meaning, and with it the right label. So the accuracy
    under this attack is no measure of robustness by itself, and ``all`` leaves the attack out.
    """

    paper = (
        "Li et al., BERT-ATTACK: Adversarial Attack Against BERT Using BERT, EMNLP 2020,"
        " Algorithm 1"
    )
    cost = (
        "the text itself, one probe for each substitutable word, and each candidate of"
        " the words that it tries"
    )
    deviations = (
        "The candidates are made once from the original text and frozen as a surface; the set"
        " leaves English function words alone, as the release does with a list of its own.",
        "No antonyms are filtered; the release drops substitutes whose counter-fitted vector has a"
        " cosine below 0.4 with that of the word.",
        "Candidates are whole words; the paper also joins several word pieces into one.",
        "A word becomes the unknown token for its importance, as in the release; the paper puts"
        " [MASK] there.",
        "Log-odds take the place of logits (paper) and probabilities (release), so that no decision"
        " depends on the scale of the logits; the release also adds the rise of a new class.",
        "By default every substitutable word may change; the paper tries a share of the words only"
        " (option share, 0.4 in the release).",
        "All candidates of a position are queried together, so those after the first that fools"
        " are counted too; the text found is the same.",
    )
    # The candidates come from a language model already.
    language_model = False
    in_all = False
    substitutions = "masked-lm"

    class Options(Attack.Options):
        """How many words may be tried."""

        share: float = Field(
            1.0,
            gt=0,
            le=1,
            description="Most important words that are tried, as a share of all words of the text"
            " (at least one word).",
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        original = space.original()
        clean = log_odds(oracle.logits(original[None]), label)
        probes = oracle.logits_without(original, space.positions)
        order = space.positions[largest_first(clean - log_odds(probes, label))]
        most = max(1, floor(self.options.share * len(space.words)))
        return change_in_order(space, oracle, label, order[:most].tolist(), float(clean[0]))
