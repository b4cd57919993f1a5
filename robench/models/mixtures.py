"""Mixtures of word vectors: the substitutes of a batch in packed rows, and their weighted sums.

Every position of a text may hold any convex combination of the embedding-layer outputs of its word
and its substitutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from robench.models.batch import Batch

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier


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

    def moved(self, move: Callable[[Tensor], Tensor]) -> PackedSubstitutes:
        """Return the same rows after ``move`` of every tensor, such as to a device."""
        types = None if self.types is None else move(self.types)
        others = (self.mask, self.positions, self.slots, self.allowed)
        return PackedSubstitutes(move(self.ids), types, *map(move, others))

    def slot_vectors(self, flat: Tensor) -> Tensor:
        """Select the outputs of all slots ``(n, slots, d)`` from those of all rows."""
        return flat[self.slots.flatten()].view(*self.slots.shape, flat.shape[-1])


def pack_substitutes(batch: Batch) -> PackedSubstitutes:
    """Pack a batch's substitution sets; raise ValueError when the batch carries none.

    A batch of the training loop has been packed before the step.
    """
    if isinstance(batch.packed_before, PackedSubstitutes):
        return batch.packed_before
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


def masked_log_weights(mixture_logits: Tensor, packed: PackedSubstitutes) -> Tensor:
    """Return the logarithms of the mixture weights, -inf at masked slots."""
    return log_softmax(mixture_logits.masked_fill(~packed.allowed, -torch.inf), -1)


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
