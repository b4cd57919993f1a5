"""The attack of ASCC (Dong et al., ICLR 2021): a search by gradients over mixtures of words."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import descend, find_misclassified, white_box


@ATTACKS.register("convex-hull")
class ConvexHull(Attack):
    """White-box attack on mixtures of words, which are rounded to words and then refined.

    Each position holds a convex mixture of its options. The attack minimises the margin of
    the true label over the weights of the mixtures, as a share of the clean text's margin. So the
    scale of the logits cancels. It uses Adam on the logits of the weights, as the inner search of
    the training does (RIFT, Eq. 8). The release's entropy term draws each mixture towards a single
    word.

    Each position then takes its heaviest word. If that text does not fool the victim, single words
    are changed as in ``greedy``, until no change lowers the margin. The word with the least decided
    mixture comes first. Each restart begins with other initial weights.
    """

    paper = (
        "Dong et al., Towards Robustness Against Natural Language Word Substitutions (ASCC),"
        " ICLR 2021; as in Dong et al., RIFT, NeurIPS 2021"
    )
    cost = (
        "steps + 1 for each restart, and then all options of one word after another until nothing"
        " improves"
    )
    deviations = (
        "The releases query only the text of the heaviest words, and texts=heaviest does so too."
        " Rounding loses strength: of 300 mini-reviews, a plain victim was fooled 96 times so, and"
        " 107 times by the default, which is all that exhaustive search fools.",
        "The spread of the initial weights depends on the tokens and slots that the text needs;"
        " in the release it depends on its padded 300 (IMDB) or 80 (SNLI) tokens and 10 slots.",
        "The margin is minimised, where the releases maximise the cross-entropy, which is blind to"
        " words where the victim is very sure or unsure; objective=cross-entropy does so too.",
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
            1,
            ge=1,
            description="Ascents from different initial weights.",
            json_schema_extra={"unit": "ascents"},
        )
        texts: Literal["refined", "heaviest"] = Field(
            "refined",
            description="Texts that are queried: that of the heaviest words and then single"
            " changes of it, or that of the heaviest words alone as published.",
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
            if found is None and options.texts == "refined":
                # Where the mixture was least decided, the choice of the heaviest word costs most.
                order = space.positions[np.argsort(weights[space.positions].max(1), kind="stable")]
                found = descend(space, victim, label, heaviest[0], order.tolist())
            if found is not None:
                return found
        return None
