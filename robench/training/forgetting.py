"""How far fine-tuning has moved away from the pre-trained encoder (RIFT paper, Section 2).

Two measures: the distance of the weights, and the information that the features still hold about
the features before training.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from robench.training.contrast import contrastive_term

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier

TEMPERATURE = 0.2
"""RIFT's tau, used in the estimate's score function."""


class PretrainedReference:
    """The model before its first step, to compare later states with.

    Args:
        model: the model before its first step; a copy of its encoder's weights is kept in main
            memory.
        features: the model's features of the dev examples, ``(examples, size)``.
        labels: labels of the dev examples, ``(examples,)``.
    """

    def __init__(self, model: TextClassifier, features: Tensor, labels: Tensor) -> None:
        self._weights = [
            parameter.detach().to("cpu", copy=True) for parameter in model.encoder.parameters()
        ]
        self._features, self._labels = features, labels

    def distance(self, model: TextClassifier) -> float:
        """Return ``||theta - theta_0||_2 / ||theta_0||_2`` over the whole encoder (Figure 2).

        All parameters of the encoder count together. A pooler with new random weights counts too.
        """
        moved = norm = 0.0
        for parameter, start in zip(model.encoder.parameters(), self._weights, strict=True):
            moved += float((parameter.detach().cpu() - start).square().sum(dtype=torch.float64))
            norm += float(start.square().sum(dtype=torch.float64))
        return sqrt(moved / norm)

    def information(self, features: Tensor) -> float:
        """Return the estimate of I(S; T | Y) in nats; see ``estimate_information``.

        Args:
            features: ``(examples, size)`` of the same examples in the same order.
        """
        return estimate_information(features, self._features, self._labels)


def estimate_information(students: Tensor, teachers: Tensor, labels: Tensor) -> float:
    """Return a lower bound of I(S; T | Y) by Lemma 1, in nats.

    It is never above the logarithm of the number of a class's examples.

    The lemma holds for any score function. This one needs no training, so it costs little and
    treats every defense alike: the cosine of the two features divided by tau, after the class's
    mean is subtracted on each side. If one space is rotated against the other, the bound is
    loose. The means come from the same examples, so it is a bound only approximately.

    Args:
        students: features ``(examples, size)``; row i belongs to the same text as teacher row i.
        teachers: features ``(examples, size)``.
        labels: ``(examples,)``; each class has a weight proportional to its number of examples.
    """
    total = 0.0
    for label in labels.unique():
        own = labels == label
        centred_students, centred_teachers = _centred(students[own]), _centred(teachers[own])
        term = contrastive_term(centred_students, centred_teachers, TEMPERATURE)
        total -= float(term) * int(own.sum())
    return total / len(labels)


def _centred(features: Tensor) -> Tensor:
    """Subtract the mean row and scale every row to unit length."""
    return normalize(features.float() - features.float().mean(0), dim=-1)
