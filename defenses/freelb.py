"""FreeLB++: adversarial fine-tuning on perturbed word embeddings, without a bound on the perturbation."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS, perturbed_logits, text_norms, zero_noise


@DEFENSES.register("freelb")
class FreeLb(Defense):
    """Minimises the mean cross-entropy over the steps of a gradient ascent on the word embeddings.

    The perturbation begins small and random and grows by ``step`` in the direction of the loss's gradient. FreeLB (Zhu et al., ICLR 2020)
    holds it inside a ball; FreeLB++ leaves the ball out, which is the default here (``radius`` none). Every step of the ascent also gives a
    gradient for the parameters, for free.
    """

    paper = "Li et al., Searching for an Effective Defender: Benchmarking Defense against Adversarial Word Substitution, EMNLP 2021"
    deviations = (
        "The release clips the global gradient norm; here it is an option, off by default as for every defense.",
        "The number of steps is the release's default; the paper takes more.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Those of every defense, and the ascent; the defaults are the release's."""

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
            description="Size of the random start: uniform noise of this over the root of a text's entries.",
        )
        radius: float | None = Field(
            None,
            gt=0,
            description="Longest perturbation of a text (FreeLB); none has no bound (FreeLB++).",
        )

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """The mean cross-entropy along the ascent.

        Each step's graph is freed before the next one begins: its parameter gradients are taken at once, and the scalar that is returned has
        the mean loss for its value and their mean for its gradient.
        """
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        total, gathered = (
            torch.zeros((), device=batch.labels.device),
            [torch.zeros_like(parameter) for parameter in trained],
        )
        noise = self.first(model, batch)
        for _ in range(self.options.steps):
            noise.requires_grad_()
            loss = cross_entropy(perturbed_logits(model, batch, noise), batch.labels)
            uphill, *downhill = torch.autograd.grad(loss, [noise, *trained], allow_unused=True)
            total += loss.detach()
            for kept, gradient in zip(gathered, downhill, strict=True):
                if gradient is not None:
                    kept += gradient
            noise = self.climb(noise.detach(), uphill)
        carrier = torch.stack(
            [
                (parameter * gradient).sum()
                for parameter, gradient in zip(trained, gathered, strict=True)
            ]
        ).sum()
        return (total + carrier - carrier.detach()) / self.options.steps

    def first(self, model: TextClassifier, batch: Batch) -> Tensor:
        """The random start, ``(batch, tokens, word_size)``."""
        entries = batch.attention_mask.sum(1)[:, None, None] * model.word_size
        unit = torch.rand_like(zero_noise(model, batch)) * 2 - 1
        return unit * batch.attention_mask[:, :, None] * self.options.start / entries.sqrt()

    def climb(self, noise: Tensor, gradient: Tensor) -> Tensor:
        """One ascent step, and back into the ball where there is one."""
        moved = noise + self.options.step * gradient / text_norms(gradient)
        return (
            moved
            if self.options.radius is None
            else moved * (self.options.radius / text_norms(moved)).clamp(max=1.0)
        )
