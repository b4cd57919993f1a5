"""What an attack on word vectors maximises, as functions of the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

ObjectiveName = Literal["divergence", "cross-entropy", "margin"]
"""What an ascent maximises: ``divergence`` in training, the others, with labels, in evaluation."""
Objective = Callable[[Tensor], Tensor]
"""Logits ``(batch, classes)`` -> the scalar to be maximised, summed over the batch."""


def objective_of(name: ObjectiveName, labels: Tensor, clean: Callable[[], Tensor]) -> Objective:
    """Return the objective of a name.

    Args:
        name: of the objective.
        labels: ``(batch,)``.
        clean: computes the logits ``(batch, classes)`` of the texts as they are. It is called only
            where the objective compares with them.
    """
    if name == "cross-entropy":
        return error_on(labels)
    return margin_lost(labels, clean()) if name == "margin" else divergence_from(clean())


def divergence_from(clean: Tensor) -> Objective:
    """Return the objective of Eq. 8, KL(clean || adversarial), summed over the batch.

    It uses no label, so none can leak.

    Args:
        clean: logits ``(batch, classes)``.
    """
    # Not the ``divergence`` of robench.methods: this is a sum, in fp32, with a constant clean side.
    target = log_softmax(clean.float(), -1).detach()
    return lambda logits: kl_div(
        log_softmax(logits.float(), -1), target, reduction="sum", log_target=True
    )


def error_on(labels: Tensor) -> Objective:
    """Return the cross-entropy with the true labels ``(batch,)``, summed over the batch.

    It serves evaluation and never training. Its gradient depends on the scale of the logits: it
    vanishes where the model is very sure or hardly sure of anything.
    """
    return lambda logits: cross_entropy(logits.float(), labels, reduction="sum")


def margin_lost(labels: Tensor, clean: Tensor) -> Objective:
    """Return the loss of margin as a share of the clean text's, summed over the batch.

    The margin is the logit of the label minus the largest other logit. Each text's is divided by
    the absolute margin of its clean logits, a constant. So the objective, its gradients and their
    weight against the entropy do not depend on the scale of the logits. It serves evaluation and
    never training.

    Args:
        labels: ``(batch,)``.
        clean: logits ``(batch, classes)``.
    """
    size = margins(clean.float(), labels).abs().detach()
    # Without any margin there is no unit, so that text's margin counts as it is.
    unit = torch.where(size > 0, size, torch.ones_like(size))
    return lambda logits: -(margins(logits.float(), labels) / unit).sum()


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logits of the labels minus the largest other logits, ``(batch,)``."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(1)
