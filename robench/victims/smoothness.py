"""What defenses that work on perturbed embeddings share: the perturbation's place, its scale and the symmetric divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

if TYPE_CHECKING:
    from robench.victims.classifier import TextClassifier
    from robench.victims.defense import Batch

PLACE = "Noise is added to the output of the embedding layer (words, positions, LayerNorm); the release adds it to the word embeddings before these."
"""The deviation that all of them have in common."""


def symmetric_divergence(one: Tensor, other: Tensor) -> Tensor:
    """``KL(one || other) + KL(other || one)`` of logits ``(batch, classes)``, mean over the batch, in nats; both sides have gradients."""
    first, second = log_softmax(one, -1), log_softmax(other, -1)
    return kl_div(first, second, reduction="batchmean", log_target=True) + kl_div(second, first, reduction="batchmean", log_target=True)


def perturbed(model: TextClassifier, batch: Batch, embeddings: Tensor, noise: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of embedding-layer outputs ``(batch, tokens, d)`` under noise of the same shape; padding gets none."""
    return model.classify(model.features_from_embeddings(embeddings + noise * batch.attention_mask[:, :, None], batch.attention_mask))


def largest(noise: Tensor) -> Tensor:
    """Each text's largest entry by magnitude, ``(batch, tokens, d) -> (batch, 1, 1)``, never 0."""
    return noise.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(noise.dtype).tiny)


def length(noise: Tensor) -> Tensor:
    """Each text's Euclidean norm, ``(batch, tokens, d) -> (batch, 1, 1)``, never 0."""
    norms: Tensor = torch.linalg.vector_norm(noise, dim=(1, 2), keepdim=True)
    return norms.clamp(min=torch.finfo(noise.dtype).tiny)
