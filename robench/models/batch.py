"""Batch: the token ids, labels and substitutes of one training step."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Batch:
    """One mini-batch, padded to its longest row.

    Attributes:
        input_ids, attention_mask, token_type_ids: ``(batch, tokens)``; token types are None if
            the encoder has none.
        labels: ``(batch,)`` class indices.
        substitute_ids: ``(batch, tokens, slots)`` token ids that may replace each token. Slot 0
            is the token itself; unused slots repeat it. None unless the defense asks for it.
        substitute_mask: ``(batch, tokens, slots)`` True where a slot may be mixed in; slot 0
            always may. None unless the defense asks for it.
        whole, rows: if several processes share a step, the batch of all of them, and which of
            its rows ``(batch,)`` these are. None otherwise.
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
        """Return the rows of process ``rank`` of ``processes``.

        They are every ``processes``-th row, with the padding of the whole batch. If there are
        too few rows, a process gets the first one.
        """
        import torch

        rows = torch.arange(len(self.labels), device=self.labels.device)[rank::processes]
        rows = rows if len(rows) else rows.new_zeros(1)
        parts: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        mine: dict[str, Any] = {}
        for name, part in parts.items():
            mine[name] = None if part is None else part[rows]
        return replace(self, **mine | {"whole": self, "rows": rows})
