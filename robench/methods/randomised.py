"""What defenses with randomised victims share: options, drawn batches and deviations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from robench.models.smoothing import DRAWS
from robench.plugins.options import TrainingOptions

if TYPE_CHECKING:
    from torch import Tensor

    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier
    from robench.models.smoother import Smoother, Variants

RANDOMISED_DEVIATIONS = (
    "The variants of a text are seeded by the text itself, so the victim gives a text the same "
    "answer each time. In the paper they are drawn anew for each query.",
    "By default a victim answers with the mean probability of its variants, which gives a search "
    "more to follow than votes.",
    "The dev scores that select the epoch are those of the classifier without random variants.",
)
"""Where every randomised victim departs from its paper, for ``deviations``."""

SETS_DEVIATION = (
    "Only words of the encoder's vocabulary are drawn or replaced. All other words share the "
    "unknown token; it is drawn where a substitute is unknown, and it is never replaced."
)
"""The same for victims that draw from sets of words."""


class RandomisedOptions(TrainingOptions):
    """Options of every defense whose victim answers from random variants of a text."""

    draws: int = Field(
        DRAWS,
        ge=1,
        description="Variants from which the victim answers at test time; a query costs as many"
        " forward passes.",
        json_schema_extra={"unit": "variants"},
    )
    answer: Literal["mean", "votes"] = Field(
        "mean",
        description="What the victim answers with: the mean probability of its variants, or the"
        " share of their votes.",
    )


def required_smoother(smoother: Smoother | None) -> Smoother:
    """Return the smoother of a defense.

    Raises:
        ValueError: the loop has set none, because the defense does not override ``smoothing``.
    """
    if smoother is None:
        raise ValueError("the defense has no smoother: override `smoothing`")
    return smoother


def drawn_variants(smoother: Smoother, batch: Batch) -> Variants:
    """Draw one random variant of each text of a batch, as the victim does at test time.

    The stream follows from torch's generator, which the loop seeds for each epoch.
    """
    import torch

    rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
    return smoother.draw_batch(batch.on_host("input_ids"), batch.lengths, rng)


def drawn_batch(smoother: Smoother, batch: Batch) -> Batch:
    """Return the batch with a random variant of each text: words substituted or masked."""
    import torch

    from robench.models.moving import on_device

    ids = torch.as_tensor(drawn_variants(smoother, batch).ids)
    return replace(batch, input_ids=on_device(ids, batch.input_ids.device))


def mixed_logits(
    model: TextClassifier, batch: Batch, variants: Variants, weights: Tensor
) -> Tensor:
    """Return the logits ``(batch, classes)`` of texts whose word vectors are mixed.

    Args:
        variants: gives the slots of each position.
        weights: ``(batch, tokens, slots)``; the logits are differentiable in them.
    """
    from robench.methods.smoothness import perturbed_logits
    from robench.models.smoothed import mixture_noise

    return perturbed_logits(model, batch, mixture_noise(model, variants, weights))
