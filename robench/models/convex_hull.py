"""The inner maximisation over word mixtures, for defenses, the dev metric and attacks.

It follows Eq. 8 of the RIFT paper and ASCC (Dong et al. ICLR 2021). Every position of a text may
hold any convex combination of the embedding-layer outputs of its word and its substitutes. Adam
searches for the worst combination: it updates the logits of the mixture weights, with the model in
eval mode.

Departures from the release:

- The hull is the same, but the ascent starts elsewhere. Substitutes that share a token (those that
  become [UNK]) make one slot. The initial spread sqrt(2 / (tokens x slots)) follows the batch,
  where the release pads its texts and uses 10 slots.
- A masked slot has a weight of exactly 0, where the release takes the softmax of -500.
- Positions without substitutes are left out; their entropy is 0.
- Gradients are computed for the mixture weights only. The release also fills those of the
  parameters and erases them.
- Substitutes are embedded in packed rows, each (position, substitute) pair once, instead of as
  whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robench.models.batch import Batch, tokens_of
from robench.models.frozen_encoder import frozen_texts
from robench.models.mixtures import (
    PackedSubstitutes,
    blend,
    entropy,
    masked_log_weights,
    pack_substitutes,
)
from robench.models.model_modes import without_parameter_gradients
from robench.models.objectives import Objective, ObjectiveName, objective_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from robench.models.classifier import TextClassifier
    from robench.models.hull_query import HullQuery

ENTROPY_WEIGHT = 15 / (300 * 128)
"""Weight of each position's entropy (nats) relative to its text's KL.

The release's constant, about 3.9e-4 whatever the batch.
"""
WEIGHT_DECAY = 2e-5
"""Adam's L2 penalty on the mixture logits, as released."""

Answer = Callable[[Tensor], Tensor]
"""Mixture weights ``(n, slots)`` -> logits ``(batch, classes)``, divided by the temperature."""


def maximise(
    model: TextClassifier,
    batch: Batch,
    *,
    steps: int = 10,
    learning_rate: float = 1.0,
    objective: ObjectiveName = "divergence",
    temperature: float = 1.0,
    entropy_weight: float = ENTROPY_WEIGHT,
    generator: torch.Generator | None = None,
    packed: PackedSubstitutes | None = None,
) -> Tensor:
    """Find the word mixtures that change the prediction most (Eq. 8).

    Args:
        objective: ``"divergence"`` is KL(clean || adversarial) and uses no label.
            ``"cross-entropy"`` (``error_on``) and ``"margin"`` (``margin_lost``) use the true ones.
        temperature: the logits are divided by it (> 0) before the objective sees them.
        generator: source of the initial logits; the global one unless given.
        packed: ``pack_substitutes(batch)`` where the caller has it already.

    Returns:
        Weights ``(batch, tokens, slots)``, detached. They lie on the simplex, are 0 at masked
        slots, and 1 at slot 0 of positions without substitutes.
    """
    packed = packed or pack_substitutes(batch)

    def search(mixture_logits: Tensor) -> Tensor:
        with without_parameter_gradients(model):
            answer, gain_of = _prepared(model, batch, packed, objective, temperature)
            return ascend(
                answer,
                gain_of,
                mixture_logits,
                packed,
                steps=steps,
                learning_rate=learning_rate,
                entropy_weight=entropy_weight,
            )

    return weights_found(search, batch, packed, generator)


def initial_logits(
    batch: Batch, packed: PackedSubstitutes, generator: torch.Generator | None
) -> Tensor:
    """Draw the initial logits ``(n, slots)``: ``kaiming_normal_`` of (B, L, S, 1).

    Processes that share a batch draw for the whole of it, so that each text starts as it would
    in one process.
    """
    whole = (batch.whole or batch).substitute_mask
    assert whole is not None  # pack_substitutes has checked it
    shape = whole.shape
    drawn = torch.randn(shape, generator=generator, device=batch.input_ids.device)
    mine = drawn if batch.rows is None else drawn[batch.rows]
    return mine.flatten(0, 1)[packed.positions] * sqrt(2 / (shape[1] * shape[2]))


def _prepared(
    model: TextClassifier,
    batch: Batch,
    packed: PackedSubstitutes,
    objective: ObjectiveName,
    temperature: float,
) -> tuple[Answer, Objective]:
    """Return the model's answer to mixture weights, and what it is judged by."""
    # The vectors do not change during the ascent, so they are embedded once, without gradients.
    with torch.no_grad():
        flat, vectors = packed.vectors(model)
    own, positions = flat[: batch.input_ids.numel()], packed.positions
    frozen = frozen_texts(model, batch)
    if frozen is not None:
        own, positions = frozen.entered(own), frozen.places(positions)

    def answer_to(outputs: Tensor) -> Tensor:
        if frozen is not None:
            return frozen.logits(outputs) / temperature
        embedded = outputs.view(*batch.input_ids.shape, -1)
        features = model.features_from_embeddings(embedded, batch.attention_mask)
        return model.classify(features) / temperature

    def answer(weights: Tensor) -> Tensor:
        return answer_to(blend(own, vectors, weights, positions))

    with torch.no_grad():
        return answer, objective_of(objective, batch.labels, lambda: answer_to(own))


def ascend(
    answer: Answer,
    gain_of: Objective,
    mixture_logits: Tensor,
    packed: PackedSubstitutes,
    *,
    steps: int,
    learning_rate: float,
    entropy_weight: float = ENTROPY_WEIGHT,
) -> Tensor:
    """Run Adam on the mixture logits ``(n, slots)`` and return the weights found.

    Args:
        answer: the logits of weights.
        gain_of: what to maximise, as a function of those logits.
        mixture_logits: where to start.
        packed: the substitutes of the batch.
        steps, learning_rate: of Adam.
        entropy_weight: weight of each position's entropy (nats), which is minimised.
    """
    mixture_logits.requires_grad_()
    # One kernel instead of a dozen; on a CPU the last bits would change.
    optimiser = torch.optim.Adam(
        [mixture_logits],
        lr=learning_rate,
        weight_decay=WEIGHT_DECAY,
        fused=mixture_logits.device.type == "cuda",
    )
    with torch.enable_grad():
        for _ in range(steps):
            log_weights = masked_log_weights(mixture_logits, packed)
            gain = gain_of(answer(log_weights.exp()))
            loss = entropy_weight * entropy(log_weights, packed.allowed) - gain
            # The gradient is asked for by name: a backward pass would fill the parameters' too.
            (mixture_logits.grad,) = torch.autograd.grad(loss, [mixture_logits])
            optimiser.step()
    return masked_log_weights(mixture_logits.detach(), packed).exp()


def weights_found(
    search: Callable[[Tensor], Tensor],
    batch: Batch,
    packed: PackedSubstitutes,
    generator: torch.Generator | None,
) -> Tensor:
    """Return the weights ``(batch, tokens, slots)`` that a search finds.

    Args:
        search: initial mixture logits -> weights, ``(n, slots)`` each. It is not called where no
            position has substitutes.
        batch: the texts.
        packed: their substitutes.
        generator: source of the initial logits; the global one if None.
    """
    assert batch.substitute_mask is not None  # pack_substitutes has checked it
    weights = torch.zeros(batch.substitute_mask.shape, device=batch.input_ids.device)
    weights[:, :, 0] = 1.0
    mixture_logits = initial_logits(batch, packed, generator)
    if len(packed.positions):
        weights.flatten(0, 1)[packed.positions] = search(mixture_logits)
    return weights


def worst_mixture(
    model: TextClassifier, query: HullQuery, device: str, *, segments: bool
) -> NDArray[np.float32]:
    """Find the mixture of one text that misleads the model most about its true label.

    Args:
        segments: whether the encoder gets token types.

    Returns:
        Weights ``(tokens, slots)`` in fp32.
    """
    batch = batch_of(query, device, segments=segments)
    generator = torch.Generator(device).manual_seed(query.seed)
    weights = maximise(
        model,
        batch,
        steps=query.steps,
        learning_rate=query.learning_rate,
        objective=query.objective,
        temperature=query.temperature,
        generator=generator,
    )
    result: NDArray[np.float32] = weights[0].cpu().numpy()
    return result


def batch_of(query: HullQuery, device: str, *, segments: bool) -> Batch:
    """Return the text of a query with its slots, as a batch of one."""
    ids, types = tokens_of(query, device, segments=segments)
    return Batch(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        token_type_ids=types,
        labels=torch.tensor([query.label], device=device),
        substitute_ids=torch.as_tensor(query.slots, dtype=torch.long, device=device)[None],
        substitute_mask=torch.as_tensor(query.allowed, device=device)[None],
    )
