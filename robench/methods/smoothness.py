"""Noise on word embeddings, its size, and divergences; for defenses that smooth the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return ``KL(one || other)`` of logits ``(batch, classes)``: the batch mean, in nats.

    Both sides have gradients.
    """
    return kl_div(
        log_softmax(other, -1), log_softmax(one, -1), reduction="batchmean", log_target=True
    )


def symmetric_divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return ``KL(one || other) + KL(other || one)``, computed as in ``divergence``."""
    return divergence(one, other) + divergence(other, one)


def perturbed_logits(model: TextClassifier, batch: Batch, noise: Tensor) -> Tensor:
    """Return the logits ``(batch, classes)`` with noise on the word embeddings.

    The noise is added before the LayerNorm, and not to padding. After the LayerNorm the same noise
    would be weaker, because the LayerNorm enlarges word embeddings together with their noise.

    Args:
        model: the model, in its current mode.
        batch: the texts.
        noise: ``(batch, tokens, word_size)``.
    """
    shift = noise * batch.attention_mask[:, :, None]
    return model.classify(
        model.features_under_noise(
            shift, batch.input_ids, batch.attention_mask, batch.token_type_ids
        )
    )


def zero_noise(model: TextClassifier, batch: Batch) -> Tensor:
    """Return zeros of the shape of ``perturbed_logits``' noise, ``(batch, tokens, word_size)``."""
    return torch.zeros((*batch.input_ids.shape, model.word_size), device=batch.input_ids.device)


def token_max_norms(noise: Tensor) -> Tensor:
    """Return each token's largest magnitude, ``(batch, tokens, d) -> (batch, tokens, 1)``.

    It is never 0, so that one can divide by it.
    """
    return noise.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(noise.dtype).tiny)


def text_norms(noise: Tensor) -> Tensor:
    """Return each text's Euclidean norm, ``(batch, tokens, d) -> (batch, 1, 1)``; never 0."""
    norms: Tensor = torch.linalg.vector_norm(noise, dim=(1, 2), keepdim=True)
    return norms.clamp(min=torch.finfo(noise.dtype).tiny)
