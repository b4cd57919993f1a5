"""R3F: the prediction should not change under small random noise on the word embeddings."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS, perturbed_logits, symmetric_divergence, zero_noise


@DEFENSES.register("r3f")
class R3f(Defense):
    """Adds ``weight * (KL(p || q) + KL(q || p))`` between the predictions with and without noise to whatever the loss is.

    Noise is drawn anew for each step. It goes with any loss: ``r3f+rift``.
    """

    paper = "Aghajanyan et al., Better Fine-Tuning by Reducing Representational Collapse, ICLR 2021"
    deviations = (
        "The prediction without noise is a forward pass of its own, with its own dropout, so that the term goes with any loss; the release has one for both.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Those of every defense, and the noise; the defaults are the release's."""

        weight: float = Field(
            1.0, ge=0, description="Weight (the paper's lambda) of the divergence."
        )
        scale: float = Field(
            1e-5,
            gt=0,
            description="Half-width of uniform noise, standard deviation of normal noise.",
        )
        noise: Literal["uniform", "normal"] = Field(
            "uniform", description="Distribution of the noise."
        )

    options: Options

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        """The weighted divergence."""
        none = zero_noise(model, batch)
        unit = (
            torch.randn_like(none)
            if self.options.noise == "normal"
            else torch.rand_like(none) * 2 - 1
        )
        plain, noisy = (
            perturbed_logits(model, batch, noise) for noise in (none, unit * self.options.scale)
        )
        rough = symmetric_divergence(plain, noisy)
        self.figures["roughness"] = rough.detach()
        return self.options.weight * rough
