"""R3F: the prediction should not change under small random noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense
from robench.victims.smoothness import PLACE, perturbed, symmetric_divergence

if TYPE_CHECKING:
    from robench.victims.classifier import TextClassifier


@DEFENSES.register("r3f")
class R3f(Defense):
    """Adds ``weight * (KL(p || q) + KL(q || p))`` between the predictions with and without noise to whatever the loss is.

    Noise is drawn anew for each step. It goes with any loss: ``r3f+rift``.
    """

    paper = "Aghajanyan et al., Better Fine-Tuning by Reducing Representational Collapse, ICLR 2021"
    deviations = (
        PLACE,
        "The prediction without noise is a forward pass of its own, with its own dropout, so that the term goes with any loss; the release has one for both.",
    )

    class Options(Defense.Options):
        """Those of every defense, and the noise; the defaults are the release's."""

        weight: float = Field(1.0, ge=0, description="Weight (the paper's lambda) of the divergence.")
        scale: float = Field(1e-5, gt=0, description="Half-width of uniform noise, standard deviation of normal noise.")
        noise: Literal["uniform", "normal"] = Field("uniform", description="Distribution of the noise.")

    options: Options

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        """The weighted divergence."""
        embeddings = model.embed(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        unit = torch.randn_like(embeddings) if self.options.noise == "normal" else torch.rand_like(embeddings) * 2 - 1
        plain, noisy = (perturbed(model, batch, embeddings, noise) for noise in (torch.zeros_like(unit), unit * self.options.scale))
        rough = symmetric_divergence(plain, noisy)
        self.figures["roughness"] = rough.detach()
        return self.options.weight * rough
