"""SMART: the prediction should not change under the worst small noise on the word embeddings."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    SUITE_DEVIATIONS,
    divergence,
    perturbed_logits,
    symmetric_divergence,
    token_max_norms,
    zero_noise,
)


@DEFENSES.register("smart")
class Smart(Defense):
    """Add ``weight`` times the symmetric divergence under bad noise to the loss of any defense.

    The divergence is that between the predictions with and without noise. The noise of each token
    has the size ``size``. It points in the direction in which the prediction changes fastest, seen
    from a random start. The term can join any loss: ``ascc+smart``.
    """

    paper = (
        "Jiang et al., SMART: Robust and Efficient Fine-tuning for Pre-trained Natural Language"
        " Models, ACL 2020"
    )
    deviations = (
        "Only the smoothness-inducing regulariser is there; the paper's Bregman proximal point (a"
        " pull towards an average of past weights) is not.",
        "Noise is the release's: each token's gradient, its largest entry scaled to size, whatever"
        " the start. The paper adds the step to the start and projects onto a ball of 1e-5, a"
        " hundredth of this size.",
        "The release takes one step; here each further step begins at the noise that the last one"
        " found.",
        "Both sides of the divergence have gradients; in each half of it the release takes none"
        " through the side that the half measures from.",
        "The pass under noise trains the word embeddings too; the release detaches them there.",
        "The prediction without noise is a forward pass of its own, with its own dropout, so that"
        " the term can join any loss; the release makes one pass for both.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Options of every defense and of the noise.

        The defaults are those of the release's class; its command line has 1e-5 for the size.
        """

        weight: float = Field(
            1.0, ge=0, description="Weight (the paper's lambda) of the divergence."
        )
        size: float = Field(
            1e-3,
            gt=0,
            description="Largest entry of each token's noise by magnitude (the paper's eta).",
        )
        start: float = Field(
            1e-5,
            gt=0,
            description="Standard deviation of the noise at which the first gradient is taken.",
        )
        steps: int = Field(
            1,
            ge=1,
            description="Gradients taken, one after another.",
            json_schema_extra={"unit": "steps"},
        )

    options: Options

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the weighted divergence."""
        plain = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        noise = self.worst_noise(model, batch, plain.detach())
        roughness = symmetric_divergence(plain, perturbed_logits(model, batch, noise))
        self.figures["roughness"] = roughness.detach()
        return self.options.weight * roughness

    def worst_noise(self, model: TextClassifier, batch: Batch, plain: Tensor) -> Tensor:
        """Return noise that moves the prediction away from the logits ``plain``.

        Returns:
            ``(batch, tokens, word_size)``.
        """
        noise = torch.randn_like(zero_noise(model, batch)) * self.options.start
        for _ in range(self.options.steps):
            noise.requires_grad_()
            moved = divergence(plain, perturbed_logits(model, batch, noise))
            (gradient,) = torch.autograd.grad(moved, [noise])
            noise = self.options.size * gradient / token_max_norms(gradient)
        return noise
