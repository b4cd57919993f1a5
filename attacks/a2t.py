"""A2T: TextFooler's walk in the order of the gradients, one gradient in place of all probes.

It is the search of Yoo and Qi (Findings of EMNLP 2021) over the surface that all attacks share.
"""

from __future__ import annotations

import numpy as np

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import change_in_order, largest_first, log_odds, white_box


@ATTACKS.register("a2t")
class A2t(Attack):
    """Replace the word with the largest gradient first, by its best substitute.

    The gradient is that of the label's margin with respect to each word's embedding in the
    original text. Its norm orders the positions, and each is changed once. Of several substitutes
    that fool the victim, the first one in the substitution set is taken. Without any, the
    substitute with the least log-odds is kept if it lowers them.

    One gradient takes the place of one probe for each word, so the attack needs fewer queries.
    """

    paper = (
        "Yoo and Qi, Towards Improving Adversarial Training of NLP Models, Findings of EMNLP 2021,"
        " Algorithm 2"
    )
    cost = "one gradient, the text itself, and each substitute of the words that it tries"
    deviations = (
        "Substitutes come from the task's substitution set, without a part-of-speech filter and"
        " without a bound on the words changed; the paper takes 20 neighbours of counter-fitted"
        " vectors or of a masked language model, and changes at most a tenth of the words.",
        "There is no sentence encoder: the paper drops texts that DistilBERT finds dissimilar.",
        "The gradient is that of the margin of the logits; the paper takes the loss. The order is"
        " the same with two classes, and a sure victim does not make it vanish.",
        "The gradient is taken in eval mode; TextAttack's code takes it in train mode.",
        "The gradient (one forward and one backward pass) is counted as one query.",
    )
    access = "gradients"

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        original = space.original()
        norms = white_box(oracle).gradient_norms(original)[space.positions]
        order = space.positions[largest_first(norms)]
        clean = float(log_odds(oracle.logits(original[None]), label)[0])
        return change_in_order(space, oracle, label, order.tolist(), clean)
