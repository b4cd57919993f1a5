"""The inner maximisation over word mixtures (RIFT paper Eq. 8; ASCC, Dong et al. ICLR 2021): for defenses, for the dev metric, for attacks.

Every position of a text may hold any convex combination of the embedding-layer outputs of its word and its substitutes. The worst one is
sought by Adam on the logits of the mixture weights, the model in eval mode.

Departures from the release. The hull is the same, where the ascent begins is not: substitutes that share a token (those that become [UNK]) make
one slot, and the initial spread sqrt(2 / (tokens x slots)) follows the batch (release: padded texts, 10 slots). A masked slot has a weight of
exactly 0 (the release: softmax of -500); positions without substitutes are left out (their entropy is 0); only gradients of the mixture
weights are asked for (the release fills the parameters' as well and erases them); substitutes are embedded in packed rows, each (position,
substitute) pair once, instead of as whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from robench.models.classifier import TextClassifier
    from robench.search.whitebox import HullQuery
    from robench.training.defense import Batch

ENTROPY_WEIGHT = 15 / (300 * 128)
"""Weight of each position's entropy (nats) beside its text's KL: the release's constant, about 3.9e-4 whatever the batch."""
WEIGHT_DECAY = 2e-5
"""Adam's L2 on the mixture logits, as released."""

Objective = Callable[[Tensor], Tensor]
"""Logits ``(batch, classes)`` -> the scalar to be maximised, summed over the batch."""


def divergence_from(clean: Tensor) -> Objective:
    """Eq. 8: KL(clean || adversarial), summed; no label is used, so none can leak. ``clean``: logits ``(batch, classes)``."""
    target = log_softmax(clean.float(), -1).detach()
    return lambda logits: kl_div(
        log_softmax(logits.float(), -1), target, reduction="sum", log_target=True
    )


def error_on(labels: Tensor) -> Objective:
    """Cross-entropy with the true labels ``(batch,)``, summed: for evaluation, never for training."""
    return lambda logits: cross_entropy(logits.float(), labels, reduction="sum")


@dataclass(frozen=True)
class PackedSubstitutes:
    """Where the words of a batch's substitution sets are found in packed rows.

    Substitutes of column p, from whatever example, fill column p of extra rows: an embedding layer sees each once at its right position.

    Attributes:
        ids, types: ``(batch + extra rows, tokens)``; the first ``batch`` rows are the texts themselves.
        mask: the same shape, the rows' attention.
        positions: ``(n,)`` indices, into the flattened ``(batch x tokens)``, of positions with substitutes.
        slots: ``(n, slots)`` indices into the flattened rows.
        allowed: ``(n, slots)`` which slots may be mixed in.
    """

    ids: Tensor
    types: Tensor | None
    mask: Tensor
    positions: Tensor
    slots: Tensor
    allowed: Tensor

    def vectors(self, model: TextClassifier) -> tuple[Tensor, Tensor]:
        """Embed: the texts' own outputs ``(batch x tokens, d)`` and those of all slots ``(n, slots, d)``."""
        flat = model.embed(self.ids, self.types, self.mask).flatten(0, 1)
        return flat, self.gathered(flat)

    def gathered(self, flat: Tensor) -> Tensor:
        """Those of all slots ``(n, slots, d)`` out of all rows' ``(rows x tokens, d)``."""
        return flat[self.slots.flatten()].view(*self.slots.shape, flat.shape[-1])


def pack_substitutes(batch: Batch) -> PackedSubstitutes:
    """Pack a batch's substitution sets (see PackedSubstitutes); raises ValueError when the batch carries none."""
    if batch.substitute_ids is None or batch.substitute_mask is None:
        raise ValueError(
            "the batch carries no substitution sets: set `substitutes = True` on the defense"
        )
    rows, tokens = batch.input_ids.shape
    extra = batch.substitute_mask.clone()
    extra[:, :, 0] = False
    column, row, slot = extra.permute(1, 0, 2).nonzero(as_tuple=True)  # sorted by column
    counts = torch.bincount(column, minlength=tokens)
    rank = torch.arange(len(column), device=column.device) - (counts.cumsum(0) - counts)[column]
    longest = int(
        batch.attention_mask.sum(1).argmax()
    )  # no padding left of any pair: RoBERTa counts positions from padding
    height = int(counts.max())
    packed = batch.input_ids[longest].repeat(height, 1)
    packed[rank, column] = batch.substitute_ids[row, column, slot]
    types = batch.token_type_ids
    if types is not None:
        packed_types = types[longest].repeat(height, 1)
        packed_types[rank, column] = types[row, column]
        types = torch.cat([types, packed_types])
    own = torch.arange(rows * tokens, device=column.device).view(rows, tokens, 1)
    slots = own.expand_as(extra).clone()
    slots[row, column, slot] = (rows + rank) * tokens + column
    positions = extra.any(-1).flatten().nonzero()[:, 0]
    return PackedSubstitutes(
        ids=torch.cat([batch.input_ids, packed]),
        types=types,
        mask=torch.cat([batch.attention_mask, batch.attention_mask[longest].repeat(height, 1)]),
        positions=positions,
        slots=slots.flatten(0, 1)[positions],
        allowed=batch.substitute_mask.flatten(0, 1)[positions],
    )


def maximise(
    model: TextClassifier,
    batch: Batch,
    *,
    steps: int = 10,
    learning_rate: float = 1.0,
    labels: bool = False,
    entropy_weight: float = ENTROPY_WEIGHT,
    generator: torch.Generator | None = None,
    packed: PackedSubstitutes | None = None,
) -> Tensor:
    """Find the word mixtures that change the prediction most (Eq. 8).

    Args:
        labels: maximise the true label's cross-entropy instead of KL(clean || adversarial).
        generator: source of the initial logits; the global one unless given.
        packed: ``pack_substitutes(batch)`` where the caller has it already.

    Returns:
        Weights ``(batch, tokens, slots)``, detached: on the simplex, 0 at masked slots, 1 at slot 0 of positions without substitutes.
    """
    packed = packed or pack_substitutes(batch)
    weights = torch.zeros(batch.substitute_mask.shape, device=batch.input_ids.device)  # type: ignore[union-attr]  # pack_substitutes has checked it
    weights[:, :, 0] = 1.0
    started = _start(batch, packed, generator)
    if len(packed.positions):
        with _searching(model):
            weights.flatten(0, 1)[packed.positions] = _ascend(
                model, batch, packed, started, steps, learning_rate, labels, entropy_weight
            )
    return weights


def _start(batch: Batch, packed: PackedSubstitutes, generator: torch.Generator | None) -> Tensor:
    """Initial logits ``(n, slots)``: kaiming_normal_ of (B, L, S, 1). Processes that share a batch draw for the whole of it, so that it begins as in one."""
    shape = (batch.whole or batch).substitute_mask.shape  # type: ignore[union-attr]  # pack_substitutes has checked it
    drawn = torch.randn(shape, generator=generator, device=batch.input_ids.device)
    mine = drawn if batch.rows is None else drawn[batch.rows]
    return mine.flatten(0, 1)[packed.positions] * sqrt(2 / (shape[1] * shape[2]))


def _ascend(
    model: TextClassifier,
    batch: Batch,
    packed: PackedSubstitutes,
    hat: Tensor,
    steps: int,
    learning_rate: float,
    labels: bool,
    entropy_weight: float,
) -> Tensor:
    with torch.no_grad():
        flat, vectors = packed.vectors(model)
        own = flat[: batch.input_ids.numel()]
        shape = (*batch.input_ids.shape, -1)
        objective = (
            error_on(batch.labels)
            if labels
            else divergence_from(
                model.classify(
                    model.features_from_embeddings(own.view(shape), batch.attention_mask)
                )
            )
        )
    hat.requires_grad_()
    optimiser = torch.optim.Adam([hat], lr=learning_rate, weight_decay=WEIGHT_DECAY)
    with torch.enable_grad():
        for _ in range(steps):
            logs = log_softmax(hat.masked_fill(~packed.allowed, -torch.inf), -1)
            mixed = _blend(own, vectors, logs.exp(), packed.positions).view(shape)
            gain = objective(
                model.classify(model.features_from_embeddings(mixed, batch.attention_mask))
            )
            (hat.grad,) = torch.autograd.grad(
                entropy_weight * entropy(logs, packed.allowed) - gain, [hat]
            )
            optimiser.step()
    return log_softmax(hat.detach().masked_fill(~packed.allowed, -torch.inf), -1).exp()


def worst_mixture(
    model: TextClassifier, question: HullQuery, device: str, *, segments: bool
) -> NDArray[np.float32]:
    """The worst mixture of one text, from the true label: ``(tokens, slots)``, fp32.

    Args:
        segments: whether the encoder gets token types.
    """
    from robench.training.defense import Batch

    ids = torch.as_tensor(question.ids, dtype=torch.long, device=device)[None]
    batch = Batch(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        token_type_ids=torch.as_tensor(question.types, dtype=torch.long, device=device)[None]
        if segments
        else None,
        labels=torch.tensor([question.label], device=device),
        substitute_ids=torch.as_tensor(question.slots, dtype=torch.long, device=device)[None],
        substitute_mask=torch.as_tensor(question.allowed, device=device)[None],
    )
    generator = torch.Generator(device).manual_seed(question.seed)
    weights = maximise(
        model,
        batch,
        steps=question.steps,
        learning_rate=question.learning_rate,
        labels=True,
        generator=generator,
    )
    result: NDArray[np.float32] = weights[0].cpu().numpy()
    return result


def entropy(logs: Tensor, allowed: Tensor) -> Tensor:
    """Summed entropy (nats) of mixtures given as log-weights ``(n, slots)``; masked slots (log-weight -inf) add nothing and get no gradient."""
    finite = logs.masked_fill(~allowed, 0.0)
    return -(finite.exp() * finite * allowed).sum()


def _blend(own: Tensor, vectors: Tensor, weights: Tensor, positions: Tensor) -> Tensor:
    with torch.autocast(own.device.type, enabled=False):  # bf16 weights would not sum to 1
        mixed = torch.bmm(weights[:, None, :], vectors.float())[:, 0]
    return own.index_copy(0, positions, mixed.to(own.dtype))


def mix(
    model: TextClassifier, batch: Batch, weights: Tensor, packed: PackedSubstitutes | None = None
) -> Tensor:
    """Embedding-layer outputs of a batch under mixture weights ``(batch, tokens, slots)``: ``(batch, tokens, d)``.

    Gradients flow to the embedding layer (own words and substitutes) and to ``weights`` where they ask for them. In train mode every
    variant has its own dropout, as in the release.
    """
    packed = packed or pack_substitutes(batch)
    return _mixed(batch, weights, packed, *packed.vectors(model))


def embed_and_mix(
    model: TextClassifier, batch: Batch, weights: Tensor, packed: PackedSubstitutes
) -> tuple[Tensor, Tensor]:
    """Embedding-layer outputs ``(batch, tokens, d)`` of the texts as they are, and what ``mix`` gives, each with dropout of its own.

    The layer is called once: the gradient of its table, as large as the vocabulary, is made once instead of made twice and added.
    """
    rows = len(batch.input_ids)
    ids, mask = (torch.cat([part[:rows], part]) for part in (packed.ids, packed.mask))
    types = None if packed.types is None else torch.cat([packed.types[:rows], packed.types])
    clean, rest = model.embed(ids, types, mask).tensor_split([rows])
    flat = rest.flatten(0, 1)
    return clean, _mixed(batch, weights, packed, flat, packed.gathered(flat))


def _mixed(
    batch: Batch, weights: Tensor, packed: PackedSubstitutes, flat: Tensor, vectors: Tensor
) -> Tensor:
    own = flat[: batch.input_ids.numel()]
    return _blend(own, vectors, weights.flatten(0, 1)[packed.positions], packed.positions).view(
        *batch.input_ids.shape, -1
    )


def harden(batch: Batch, weights: Tensor) -> Batch:
    """The discrete text nearest to a mixture: at each position the slot of the largest weight (slot 0 wins ties)."""
    if batch.substitute_ids is None:
        raise ValueError("the batch carries no substitution sets")
    best = weights.argmax(-1, keepdim=True)
    return replace(batch, input_ids=batch.substitute_ids.gather(-1, best)[:, :, 0])


@contextmanager
def _searching(model: nn.Module) -> Iterator[None]:
    """Eval mode and no parameter gradients inside, everything as before outside.

    Freezing spares the activations that only parameter gradients need; and autocast, which keeps the bf16 copy of a parameter that asks
    for gradients, does not keep one that was made without them.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        with evaluating(model):
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, every module's mode as before outside."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
