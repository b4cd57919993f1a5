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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from robench.models.batch import Batch

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

ObjectiveName = Literal["divergence", "cross-entropy", "margin"]
"""What an ascent maximises: ``divergence`` in training, the others, with labels, in evaluation."""
Objective = Callable[[Tensor], Tensor]
"""Logits ``(batch, classes)`` -> the scalar to be maximised, summed over the batch."""


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
    margins = _margins(clean.float(), labels).abs().detach()
    # Without any margin there is no unit, so that text's margin counts as it is.
    unit = torch.where(margins > 0, margins, torch.ones_like(margins))
    return lambda logits: -(_margins(logits.float(), labels) / unit).sum()


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logits of the labels minus the largest other logits, ``(batch,)``."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(1)


@dataclass(frozen=True)
class PackedSubstitutes:
    """A batch's texts and substitutes as rows for the embedding layer.

    Substitutes of column p, from any example, fill column p of extra rows. So an embedding layer
    sees each of them once, at its right position.

    Attributes:
        ids, types: ``(batch + extra rows, tokens)``; the first ``batch`` rows are the texts.
        mask: the attention mask of the rows, of the same shape.
        positions: ``(n,)`` indices, into the flattened ``(batch x tokens)``, of positions with
            substitutes.
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
        """Embed all rows.

        Returns:
            The outputs of all rows ``(rows x tokens, d)``, the texts first, and those of all
            slots ``(n, slots, d)``.
        """
        flat = model.embed(self.ids, self.types, self.mask).flatten(0, 1)
        return flat, self.slot_vectors(flat)

    def slot_vectors(self, flat: Tensor) -> Tensor:
        """Select the outputs of all slots ``(n, slots, d)`` from those of all rows."""
        return flat[self.slots.flatten()].view(*self.slots.shape, flat.shape[-1])


def pack_substitutes(batch: Batch) -> PackedSubstitutes:
    """Pack a batch's substitution sets; raise ValueError when the batch carries none."""
    if batch.substitute_ids is None or batch.substitute_mask is None:
        raise ValueError(
            "the batch carries no substitution sets: set `substitutes = True` on the defense"
        )
    rows, tokens = batch.input_ids.shape
    # Slot 0 is the text's own token, which is in the batch already.
    extra = batch.substitute_mask.clone()
    extra[:, :, 0] = False
    # The permutation sorts the substitutes by column. The rank of a substitute within its column
    # is the extra row that holds it.
    column, row, slot = extra.permute(1, 0, 2).nonzero(as_tuple=True)
    counts = torch.bincount(column, minlength=tokens)
    rank = torch.arange(len(column), device=column.device) - (counts.cumsum(0) - counts)[column]
    height = int(counts.max())
    # RoBERTa counts positions from padding. The longest text has no padding to the left of any
    # substitute, so the extra rows are copies of it.
    longest = int(batch.attention_mask.sum(1).argmax())
    packed = batch.input_ids[longest].repeat(height, 1)
    packed[rank, column] = batch.substitute_ids[row, column, slot]
    types = batch.token_type_ids
    if types is not None:
        packed_types = types[longest].repeat(height, 1)
        packed_types[rank, column] = types[row, column]
        types = torch.cat([types, packed_types])
    # Every slot points to the text's own token unless it holds a substitute.
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
    assert batch.substitute_mask is not None  # pack_substitutes has checked it
    weights = torch.zeros(batch.substitute_mask.shape, device=batch.input_ids.device)
    weights[:, :, 0] = 1.0
    mixture_logits = initial_logits(batch, packed, generator)
    if len(packed.positions):
        with without_parameter_gradients(model):
            adam = (steps, learning_rate, objective, temperature, entropy_weight)
            found = _ascend(model, batch, packed, mixture_logits, *adam)
            weights.flatten(0, 1)[packed.positions] = found
    return weights


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


def _ascend(
    model: TextClassifier,
    batch: Batch,
    packed: PackedSubstitutes,
    mixture_logits: Tensor,
    steps: int,
    learning_rate: float,
    objective: ObjectiveName,
    temperature: float,
    entropy_weight: float,
) -> Tensor:
    """Run Adam on the mixture logits ``(n, slots)`` and return the weights found."""
    # The vectors do not change during the ascent, so they are embedded once, without gradients.
    with torch.no_grad():
        flat, vectors = packed.vectors(model)
        own = flat[: batch.input_ids.numel()]
        shape = (*batch.input_ids.shape, -1)
        if objective == "cross-entropy":
            gain_of = error_on(batch.labels)
        else:
            features = model.features_from_embeddings(own.view(shape), batch.attention_mask)
            clean = model.classify(features) / temperature
            use_labels = objective == "margin"
            gain_of = margin_lost(batch.labels, clean) if use_labels else divergence_from(clean)
    mixture_logits.requires_grad_()
    optimiser = torch.optim.Adam([mixture_logits], lr=learning_rate, weight_decay=WEIGHT_DECAY)
    with torch.enable_grad():
        for _ in range(steps):
            log_weights = masked_log_weights(mixture_logits, packed)
            mixed = blend(own, vectors, log_weights.exp(), packed.positions).view(shape)
            logits = model.classify(model.features_from_embeddings(mixed, batch.attention_mask))
            gain = gain_of(logits / temperature)
            loss = entropy_weight * entropy(log_weights, packed.allowed) - gain
            # The gradient is asked for by name: a backward pass would fill the parameters' too.
            (mixture_logits.grad,) = torch.autograd.grad(loss, [mixture_logits])
            optimiser.step()
    return masked_log_weights(mixture_logits.detach(), packed).exp()


def masked_log_weights(mixture_logits: Tensor, packed: PackedSubstitutes) -> Tensor:
    """Return the logarithms of the mixture weights, -inf at masked slots."""
    return log_softmax(mixture_logits.masked_fill(~packed.allowed, -torch.inf), -1)


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
    ids = torch.as_tensor(query.ids, dtype=torch.long, device=device)[None]
    types = None
    if segments:
        types = torch.as_tensor(query.types, dtype=torch.long, device=device)[None]
    return Batch(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        token_type_ids=types,
        labels=torch.tensor([query.label], device=device),
        substitute_ids=torch.as_tensor(query.slots, dtype=torch.long, device=device)[None],
        substitute_mask=torch.as_tensor(query.allowed, device=device)[None],
    )


def entropy(log_weights: Tensor, allowed: Tensor) -> Tensor:
    """Return the summed entropy (nats) of mixtures given as log-weights ``(n, slots)``.

    Masked slots (log-weight -inf) add nothing and get no gradient.
    """
    # 0 * -inf would be NaN, also in the gradient, so masked slots are replaced first.
    finite = log_weights.masked_fill(~allowed, 0.0)
    return -(finite.exp() * finite * allowed).sum()


def blend(own: Tensor, vectors: Tensor, weights: Tensor, positions: Tensor) -> Tensor:
    """Replace the outputs ``own`` at ``positions`` by the weighted sums of their slots."""
    # In bf16 the weights would not sum to 1.
    with torch.autocast(own.device.type, enabled=False):
        mixed = torch.bmm(weights[:, None, :], vectors.float())[:, 0]
    return own.index_copy(0, positions, mixed.to(own.dtype))


def mix(
    model: TextClassifier,
    batch: Batch,
    weights: Tensor,
    packed: PackedSubstitutes | None = None,
) -> Tensor:
    """Return the embedding-layer outputs of a batch under mixture weights.

    Gradients flow to the embedding layer (own words and substitutes), and to ``weights`` if
    these require them. In train mode every variant has its own dropout, as in the release.

    Args:
        weights: ``(batch, tokens, slots)``.

    Returns:
        ``(batch, tokens, d)``.
    """
    packed = packed or pack_substitutes(batch)
    return _mixed(batch, weights, packed, *packed.vectors(model))


def embed_and_mix(
    model: TextClassifier, batch: Batch, weights: Tensor, packed: PackedSubstitutes
) -> tuple[Tensor, Tensor]:
    """Embed the texts as they are, and under mixture weights.

    Both results are ``(batch, tokens, d)``, each with its own dropout; the second is that of
    ``mix``. The embedding layer is called once. So the gradient of its table, which is as large
    as the vocabulary, is computed once instead of computed twice and added.
    """
    rows = len(batch.input_ids)
    ids, mask = (torch.cat([part[:rows], part]) for part in (packed.ids, packed.mask))
    types = None if packed.types is None else torch.cat([packed.types[:rows], packed.types])
    clean, rest = model.embed(ids, types, mask).tensor_split([rows])
    flat = rest.flatten(0, 1)
    return clean, _mixed(batch, weights, packed, flat, packed.slot_vectors(flat))


def _mixed(
    batch: Batch, weights: Tensor, packed: PackedSubstitutes, flat: Tensor, vectors: Tensor
) -> Tensor:
    own = flat[: batch.input_ids.numel()]
    mixed = blend(own, vectors, weights.flatten(0, 1)[packed.positions], packed.positions)
    return mixed.view(*batch.input_ids.shape, -1)


def harden(batch: Batch, weights: Tensor) -> Batch:
    """Return the discrete texts nearest to a mixture.

    Each position takes the slot of the largest weight; slot 0 wins ties.
    """
    if batch.substitute_ids is None:
        raise ValueError("the batch carries no substitution sets")
    best = weights.argmax(-1, keepdim=True)
    return replace(batch, input_ids=batch.substitute_ids.gather(-1, best)[:, :, 0])


@contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode without parameter gradients, and restore everything afterwards.

    Freezing saves the activations that only parameter gradients need. It also keeps autocast
    correct: autocast caches the bf16 copy of a parameter that requires gradients, and a copy
    made without them must not serve the loss. It does not cache copies of frozen parameters.
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
    """Switch to eval mode, and restore every module's own mode afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
