"""DNE: train and answer on random points of the convex hulls of words and their neighbours."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    RANDOMISED_DEVIATIONS,
    SETS_DEVIATION,
    SUITE_DEVIATIONS,
    RandomisedOptions,
    Smoothing,
    drawn_variants,
    mixed_logits,
    on_device,
    required_smoother,
)

TINY = 1e-6
"""Added to weights before their logarithm, as in the release."""


@DEFENSES.register("dne")
class Dne(Defense):
    """Move each word vector to a random point of its neighbourhood, and on to a worse one.

    The neighbourhood is the convex hull of a word, its substitutes and the substitutes of these.
    The weights of a point come from a Dirichlet distribution. In training, ``steps`` steps of
    gradient ascent on their logarithms follow. At test time the victim answers from ``draws``
    random points.
    """

    paper = (
        "Zhou et al., Defense against Synonym Substitution-based Adversarial Attacks via Dirichlet"
        " Neighborhood Ensemble, ACL 2021"
    )
    deviations = (
        "The loss is the mean over the random point and the points of the ascent; the release adds"
        " their gradients and clips the sum.",
        "A word's substitutes are those of the task's substitution set; the release has eight"
        " nearest counter-fitted neighbours.",
        SETS_DEVIATION,
        *RANDOMISED_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )
    task_defaults = {  # noqa: RUF012
        "imdb": {"concentration": 0.1, "decay": 0.1},
    }

    class Options(RandomisedOptions):
        """Options of every randomised defense and of the ascent; the defaults are a release's."""

        concentration: float = Field(
            1.0, gt=0, description="The Dirichlet distribution's alpha for a word's substitutes."
        )
        decay: float = Field(
            0.5,
            gt=0,
            le=1,
            description="Factor of alpha for the substitutes of substitutes.",
        )
        neighbours: int = Field(
            50,
            ge=2,
            description="Most words of a neighbourhood, the word itself included.",
            json_schema_extra={"unit": "words"},
        )
        steps: int = Field(
            3,
            ge=0,
            description="Ascent steps, each of which trains the parameters too.",
            json_schema_extra={"unit": "steps"},
        )
        step: float = Field(
            10.0, gt=0, description="Length of an ascent step on a word's log-weights."
        )

    options: Options

    @property
    def smoothing(self) -> Smoothing:
        """Answer from random points of the hulls."""
        options = self.options
        return Smoothing(
            "hull",
            options.draws,
            options.answer,
            neighbours=options.neighbours,
            concentration=options.concentration,
            decay=options.decay,
        )

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the mean cross-entropy at a random point and along the ascent from it."""
        variants = drawn_variants(required_smoother(self.smoother), batch)
        assert variants.slots is not None
        assert variants.weights is not None
        device = batch.input_ids.device
        start = on_device(torch.as_tensor(variants.weights), device)
        slots = on_device(torch.as_tensor(variants.slots), device)
        # Slot 0 is the word itself; unused slots repeat it and must keep the weight 0.
        used = slots != slots[:, :, :1]
        used[:, :, 0] = True
        scores = torch.log(start + TINY).masked_fill(~used, -torch.inf)
        losses = []
        for number in range(self.options.steps + 1):
            scores.requires_grad_()
            logits = mixed_logits(model, batch, variants, torch.softmax(scores, -1))
            losses.append(cross_entropy(logits, batch.labels))
            if number < self.options.steps:
                (uphill,) = torch.autograd.grad(
                    losses[-1], scores, retain_graph=True, allow_unused=True
                )
                scores = climb(scores.detach(), uphill, self.options.step)
        self.figures["random_point"] = losses[0].detach()
        return torch.stack(losses).mean()


def climb(scores: Tensor, uphill: Tensor | None, step: float) -> Tensor:
    """Return the log-weights after a step of fixed length at each position.

    Args:
        scores: ``(batch, tokens, slots)``; minus infinity stays.
        uphill: the gradient; None where no word of the batch has neighbours.
        step: the length.
    """
    if uphill is None:
        return scores
    gradient = uphill.nan_to_num(0.0)
    length = gradient.norm(dim=-1, keepdim=True) + TINY
    moved: Tensor = scores + step * gradient / length
    return moved
