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
    """Add ``weight * (KL(p || q) + KL(q || p))`` to the loss of any defense.

    p and q are the predictions without and with noise. The noise is drawn anew for each step. The
    term can join any loss: ``r3f+rift``.
    """

    paper = "Aghajanyan et al., Better Fine-Tuning by Reducing Representational Collapse, ICLR 2021"
    deviations = (
        "The prediction without noise is a forward pass of its own, with its own dropout, so that"
        " the term can join any loss; the release makes one pass for both.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Options of every defense and of the noise, whose defaults are the release's."""

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
        """Return the weighted divergence."""
        zeros = zero_noise(model, batch)
        if self.options.noise == "normal":
            unit = torch.randn_like(zeros)
        else:
            unit = torch.rand_like(zeros) * 2 - 1
        plain = perturbed_logits(model, batch, zeros)
        noisy = perturbed_logits(model, batch, unit * self.options.scale)
        roughness = symmetric_divergence(plain, noisy)
        self.figures["roughness"] = roughness.detach()
        return self.options.weight * roughness
