"""How far fine-tuning has led away from the pre-trained encoder (RIFT paper, Section 2): in its weights, and in what its features still tell of it."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from robench.methods.information import contrastive_term

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier

TEMPERATURE = 0.2
"""Of the estimate's score function: RIFT's tau."""


class PretrainedReference:
    """The model before its first step.

    Args:
        model: as it is then; a copy of its encoder's weights is kept in main memory.
        features: its features ``(examples, size)`` of the dev examples.
        labels: of these, ``(examples,)``.
    """

    def __init__(self, model: TextClassifier, features: Tensor, labels: Tensor) -> None:
        self._weights = [
            parameter.detach().to("cpu", copy=True) for parameter in model.encoder.parameters()
        ]
        self._features, self._labels = features, labels

    def distance(self, model: TextClassifier) -> float:
        """``||theta - theta_0||_2 / ||theta_0||_2`` over all parameters of the encoder together (Figure 2), a pooler that was drawn anew included."""
        moved = norm = 0.0
        for parameter, start in zip(model.encoder.parameters(), self._weights, strict=True):
            moved += float((parameter.detach().cpu() - start).square().sum(dtype=torch.float64))
            norm += float(start.square().sum(dtype=torch.float64))
        return sqrt(moved / norm)

    def information(self, features: Tensor) -> float:
        """Estimate of I(S; T | Y) in nats for features ``(examples, size)`` of the same examples in the same order; see ``estimate``."""
        return estimate_information(features, self._features, self._labels)


def estimate_information(students: Tensor, teachers: Tensor, labels: Tensor) -> float:
    """Lower bound of I(S; T | Y) by Lemma 1, in nats, never above the log of a class's examples.

    The lemma holds for any score function. This one has nothing to be trained, so that every defense is measured alike and for nothing: the cosine of
    the two features, divided by tau, once each side's mean over the class is taken away. Where the two spaces are turned against each other the bound is
    loose, and as the means come from the same examples it is a bound only nearly.

    Args:
        students, teachers: features ``(examples, size)``; row i of both is the same text.
        labels: ``(examples,)``; every class has a share of the mean that goes by its examples.
    """
    total = 0.0
    for label in labels.unique():
        own = labels == label
        centred = [
            normalize(side[own].float() - side[own].float().mean(0), dim=-1)
            for side in (students, teachers)
        ]
        total -= float(contrastive_term(centred[0], centred[1], TEMPERATURE)) * int(own.sum())
    return total / len(labels)
