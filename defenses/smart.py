"""SMART: the prediction should not change under the worst small noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense
from robench.victims.smoothness import PLACE, largest, perturbed, symmetric_divergence

if TYPE_CHECKING:
    from robench.victims.classifier import TextClassifier


@DEFENSES.register("smart")
class Smart(Defense):
    """Adds ``weight`` times the symmetric divergence between the prediction and the worst one within ``radius`` to whatever the loss is.

    The worst noise (largest entry at most ``radius``) is sought by gradient ascent from a random start. It goes with any loss: ``ascc+smart``.
    """

    paper = "Jiang et al., SMART: Robust and Efficient Fine-tuning for Pre-trained Natural Language Models, ACL 2020"
    deviations = (
        PLACE,
        "Only the smoothness-inducing regulariser is there; the paper's Bregman proximal point (a pull towards an average of past weights) is not.",
        "Noise is held inside the radius by clipping, as the paper says; the release scales it to the radius.",
        "The prediction without noise is a forward pass of its own, with its own dropout, so that the term goes with any loss; the release has one for both.",
    )

    class Options(Defense.Options):
        """Those of every defense, and the noise. Weight, start and steps are the release's defaults, as is its class's step (its command line has 1e-5)."""

        weight: float = Field(1.0, ge=0, description="Weight (the paper's lambda) of the divergence.")
        radius: float = Field(1e-5, gt=0, description="Largest entry of the noise by magnitude.")
        start: float = Field(1e-5, gt=0, description="Standard deviation of the noise that the ascent begins with.")
        step: float = Field(1e-3, gt=0, description="Size of an ascent step, by its largest entry.")
        steps: int = Field(1, ge=1, description="Ascent steps.", json_schema_extra={"unit": "steps"})

    options: Options

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        """The weighted divergence."""
        embeddings = model.embed(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        plain = perturbed(model, batch, embeddings, torch.zeros_like(embeddings))
        noise = self.worst(model, batch, embeddings.detach(), plain.detach())
        rough = symmetric_divergence(plain, perturbed(model, batch, embeddings, noise))
        self.figures["roughness"] = rough.detach()
        return self.options.weight * rough

    def worst(self, model: TextClassifier, batch: Batch, embeddings: Tensor, plain: Tensor) -> Tensor:
        """Noise ``(batch, tokens, d)`` inside the radius under which the prediction departs most from the logits ``plain``."""
        noise = torch.randn_like(embeddings) * self.options.start
        for _ in range(self.options.steps):
            noise.requires_grad_()
            (gradient,) = torch.autograd.grad(symmetric_divergence(plain, perturbed(model, batch, embeddings, noise)), [noise])
            noise = (noise.detach() + self.options.step * gradient / largest(gradient)).clamp(-self.options.radius, self.options.radius)
        return noise
