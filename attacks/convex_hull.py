"""The attack of ASCC (Dong et al., ICLR 2021): a search by gradients over mixtures of words."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import find_misclassified, white_box


@ATTACKS.register("convex-hull")
class ConvexHull(Attack):
    """White-box attack on mixtures of words; each position then takes its heaviest word.

    Each position holds a convex mixture of its options. The attack minimises the margin of
    the true label over the weights of the mixtures, as a share of the clean text's margin. So the
    scale of the logits cancels. It uses Adam on the logits of the weights, as the inner search of
    the training does (RIFT, Eq. 8). The release's entropy term draws each
    mixture towards a single word. Each restart begins with other initial weights.
    """

    paper = (
        "Dong et al., Towards Robustness Against Natural Language Word Substitutions (ASCC),"
        " ICLR 2021; as in Dong et al., RIFT, NeurIPS 2021"
    )
    cost = "steps + 1 for each restart"
    deviations = (
        "Only the text of the heaviest words is queried, and only it can fool the victim, as in"
        " the releases.",
        "The spread of the initial weights depends on the tokens and slots that the text needs;"
        " in the release it depends on its padded 300 (IMDB) or 80 (SNLI) tokens and 10 slots.",
        "The margin is minimised, where the releases maximise the cross-entropy, which is blind to"
        " words where the victim is very sure or unsure; objective=cross-entropy does so too.",
        "The release attacks once; here there are three ascents (option restarts). On 300"
        " mini-reviews a plain victim was fooled 96, 100 and 101 times with 1, 3 and 10 of them.",
        "Each step of the ascent, forward and backward, is counted as one query.",
    )
    access = "gradients"
    language_model = False

    class Options(Attack.Options):
        """Length, rate and number of the ascents."""

        steps: int = Field(
            10, ge=1, description="Steps of an ascent.", json_schema_extra={"unit": "steps"}
        )
        learning_rate: float = Field(
            1.0,
            gt=0,
            description="Adam's learning rate on the logits of the mixture weights"
            " (in the releases 1 for BERT, 10 for CNN and LSTM).",
        )
        restarts: int = Field(
            3,
            ge=1,
            description="Ascents from different initial weights.",
            json_schema_extra={"unit": "ascents"},
        )

        objective: Literal["margin", "cross-entropy"] = Field(
            "margin",
            description="What an ascent worsens: the true label's margin, or its cross-entropy as"
            " published.",
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        victim, options = white_box(oracle), self.options
        for _ in range(options.restarts):
            weights = victim.hull(rng, options.steps, options.learning_rate, options.objective)
            heaviest = weights.argmax(axis=1).astype(np.int16)[None]
            found = find_misclassified(heaviest, victim.logits(heaviest), label)
            if found is not None:
                return found
        return None
