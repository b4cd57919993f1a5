"""The gradient of a victim's margin with respect to the embedding of each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.models.batch import tokens_of
from robench.models.model_modes import evaluating
from robench.models.objectives import margins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from robench.models.classifier import TextClassifier
    from robench.models.gradient_query import GradientQuery


def margin_gradient(
    model: TextClassifier, query: GradientQuery, device: str, *, segments: bool
) -> NDArray[np.float32]:
    """Compute the gradient that ``query`` asks for, in eval mode and fp32.

    It is taken at the word embeddings, before positions, types and LayerNorm. The parameters'
    ``.grad`` stay as they are.

    Args:
        model: the victim's model.
        query: the text and the class.
        device: where the model is.
        segments: whether the encoder gets token types.

    Returns:
        ``(tokens, word_size)``.
    """
    ids, types = tokens_of(query, device, segments=segments)
    noise = torch.zeros((*ids.shape, model.word_size), device=device, requires_grad=True)
    # Searches may run under autocast; gradients never do.
    with (
        evaluating(model),
        torch.enable_grad(),
        torch.autocast(torch.device(device).type, enabled=False),
    ):
        features = model.features_under_noise(noise, ids, torch.ones_like(ids), types)
        labels = torch.tensor([query.label], device=device)
        margin = margins(model.classify(features), labels)[0]
        (gradient,) = torch.autograd.grad(margin, [noise])
    result: NDArray[np.float32] = gradient[0].cpu().numpy()
    return result
