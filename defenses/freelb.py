"""FreeLB++: adversarial fine-tuning on perturbed word embeddings.

The size of the perturbation has no bound.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS, perturbed_logits, text_norms, zero_noise


@DEFENSES.register("freelb")
class FreeLb(Defense):
    """Minimise the mean cross-entropy along a gradient ascent on the word embeddings.

    The perturbation begins small and random. Each step moves it by ``step`` along the gradient of
    the loss. FreeLB (Zhu et al., ICLR 2020) keeps it inside a ball; FreeLB++ has no ball, which is
    the default here (``radius`` none). Each step of the ascent gives the gradient for the
    parameters at no extra cost.
    """

    paper = (
        "Li et al., Searching for an Effective Defender: Benchmarking Defense against Adversarial"
        " Word Substitution, EMNLP 2021"
    )
    deviations = (
        "The release clips the global gradient norm; here this is an option, off by default as"
        " for every defense.",
        "The number of steps is the release's default; the paper takes more.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Options of every defense and of the ascent, whose defaults are the release's."""

        steps: int = Field(
            5,
            ge=1,
            description="Ascent steps, each of which trains the parameters too.",
            json_schema_extra={"unit": "steps"},
        )
        step: float = Field(0.03, gt=0, description="Length of an ascent step.")
        start: float = Field(
            0.05,
            ge=0,
            description="Size of the random start: its uniform noise lies within this size divided"
            " by the square root of the number of entries of a text's embeddings.",
        )
        radius: float | None = Field(
            None,
            gt=0,
            description="Longest perturbation of a text (FreeLB); none sets no bound (FreeLB++).",
        )

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the mean cross-entropy along the ascent.

        The gradients for the parameters are taken at each step, so that the graph of a step is
        freed before the next one begins. The value of the scalar returned is the mean loss, and
        its gradient is the mean of these gradients.
        """
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        total = torch.zeros((), device=batch.labels.device)
        gathered = [torch.zeros_like(parameter) for parameter in trained]
        noise = self.random_start(model, batch)
        for _ in range(self.options.steps):
            noise.requires_grad_()
            loss = cross_entropy(perturbed_logits(model, batch, noise), batch.labels)
            uphill, *downhill = torch.autograd.grad(loss, [noise, *trained], allow_unused=True)
            total += loss.detach()
            for kept, gradient in zip(gathered, downhill, strict=True):
                if gradient is not None:
                    kept += gradient
            noise = self.climb(noise.detach(), uphill)
        # The gradient of this sum for each parameter is the gathered gradient. Its value is
        # subtracted again, so that only the gradient remains.
        products = [
            (parameter * gradient).sum()
            for parameter, gradient in zip(trained, gathered, strict=True)
        ]
        carrier = torch.stack(products).sum()
        return (total + carrier - carrier.detach()) / self.options.steps

    def random_start(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the random noise at which the ascent begins, ``(batch, tokens, word_size)``."""
        entries = batch.attention_mask.sum(1)[:, None, None] * model.word_size
        unit = torch.rand_like(zero_noise(model, batch)) * 2 - 1
        return unit * batch.attention_mask[:, :, None] * self.options.start / entries.sqrt()

    def climb(self, noise: Tensor, gradient: Tensor) -> Tensor:
        """Return the noise after one ascent step, moved back into the ball where there is one."""
        moved = noise + self.options.step * gradient / text_norms(gradient)
        if self.options.radius is None:
            return moved
        return moved * (self.options.radius / text_norms(moved)).clamp(max=1.0)
