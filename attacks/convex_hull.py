"""The ASCC attack (Dong et al., ICLR 2021): gradients find the worst mixture of words, and each position takes the word that weighs most in it."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Options, Oracle, SearchSpace
from robench.methods import find_misclassified, white_box


@ATTACKS.register("convex-hull")
class ConvexHull(Attack):
    """White-box: maximise the cross-entropy over convex mixtures of each position's words, then put the heaviest word everywhere.

    The mixture is sought by Adam on the logits of its weights, as in training (RIFT, Eq. 8) but with the true label; the entropy term of the release
    draws it towards single words. Each restart begins with other initial weights.
    """

    paper = "Dong et al., Towards Robustness Against Natural Language Word Substitutions (ASCC), ICLR 2021; as in Dong et al., RIFT, NeurIPS 2021"
    deviations = (
        "The text of the heaviest words is asked about, and only it can fool, as in the releases.",
        "The initial weights spread with the tokens and slots that the text needs; the release counts its padded 300 (IMDB) or 80 (SNLI) tokens and 10 slots.",
        "The release attacks once; further restarts are an option.",
        "A step of the ascent, forward and backward, is charged as one question.",
    )
    access = "gradients"
    language_model = False

    class Options(Options):
        """The ascent."""

        steps: int = Field(
            10, ge=1, description="Steps of an ascent.", json_schema_extra={"unit": "steps"}
        )
        learning_rate: float = Field(
            1.0,
            gt=0,
            description="Adam's rate on the logits of the mixture weights (the releases: 1 for BERT, 10 for CNN and LSTM).",
        )
        restarts: int = Field(
            1,
            ge=1,
            description="Ascents from different initial weights.",
            json_schema_extra={"unit": "ascents"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        victim = white_box(oracle)
        for _ in range(self.options.restarts):
            weights = victim.hull(rng, self.options.steps, self.options.learning_rate)
            heaviest = weights.argmax(axis=1).astype(np.int16)[None]
            found = find_misclassified(heaviest, victim.logits(heaviest), label)
            if found is not None:
                return found
        return None
