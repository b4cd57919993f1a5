"""What defenses that work on perturbed word embeddings share: the perturbation's place, its scale and the divergences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """``KL(one || other)`` of logits ``(batch, classes)``, mean over the batch, in nats; both sides have gradients."""
    return kl_div(
        log_softmax(other, -1), log_softmax(one, -1), reduction="batchmean", log_target=True
    )


def symmetric_divergence(one: Tensor, other: Tensor) -> Tensor:
    """``KL(one || other) + KL(other || one)`` of logits ``(batch, classes)``, as ``divergence``."""
    return divergence(one, other) + divergence(other, one)


def perturbed_logits(model: TextClassifier, batch: Batch, noise: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` under noise ``(batch, tokens, word_size)`` on the word embeddings, before LayerNorm; padding gets none.

    After the LayerNorm the same noise would be weaker: it enlarges word embeddings, and noise with them.
    """
    shift = noise * batch.attention_mask[:, :, None]
    return model.classify(
        model.features_under_noise(
            shift, batch.input_ids, batch.attention_mask, batch.token_type_ids
        )
    )


def zero_noise(model: TextClassifier, batch: Batch) -> Tensor:
    """No noise: zeros of the shape that ``perturbed`` takes."""
    return torch.zeros((*batch.input_ids.shape, model.word_size), device=batch.input_ids.device)


def token_max_norms(noise: Tensor) -> Tensor:
    """Each token's largest entry by magnitude, ``(batch, tokens, d) -> (batch, tokens, 1)``, never 0."""
    return noise.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(noise.dtype).tiny)


def text_norms(noise: Tensor) -> Tensor:
    """Each text's Euclidean norm, ``(batch, tokens, d) -> (batch, 1, 1)``, never 0."""
    norms: Tensor = torch.linalg.vector_norm(noise, dim=(1, 2), keepdim=True)
    return norms.clamp(min=torch.finfo(noise.dtype).tiny)
