"""Batch: the token ids, labels and substitutes that a model is trained on in one step."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Batch:
    """One mini-batch, padded to its longest row.

    Attributes:
        input_ids, attention_mask, token_type_ids: ``(batch, tokens)``; token types are None where the encoder has none.
        labels: ``(batch,)`` class indices.
        substitute_ids: ``(batch, tokens, slots)`` token ids that may stand at each position; slot 0 is the token itself, unused slots repeat it.
        substitute_mask: ``(batch, tokens, slots)`` True where a slot may be mixed in; slot 0 always is. Both are None unless the defense asks.
        whole, rows: where several processes share a step: the batch of all of them, and which of its rows ``(batch,)`` these are. None otherwise.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None
    labels: Tensor
    substitute_ids: Tensor | None = None
    substitute_mask: Tensor | None = None
    whole: Batch | None = None
    rows: Tensor | None = None

    def share(self, rank: int, processes: int) -> Batch:
        """What process ``rank`` of ``processes`` works on: every ``processes``-th row, padded as the whole is; the first row where none is left."""
        import torch

        rows = torch.arange(len(self.labels), device=self.labels.device)[rank::processes]
        rows = rows if len(rows) else rows.new_zeros(1)
        parts: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        mine: dict[str, Any] = {
            name: None if part is None else part[rows] for name, part in parts.items()
        }
        return replace(self, **mine | {"whole": self, "rows": rows})
