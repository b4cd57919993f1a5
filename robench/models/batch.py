"""Batch: the token ids, labels and substitutes of one training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

ON_HOST = ("input_ids", "attention_mask", "labels")
"""The parts of a batch whose values a step may read without asking the device."""


class Packed(Protocol):
    """The substitutes of a batch in packed rows (``robench.models.mixtures``)."""

    def moved(self, move: Callable[[Tensor], Tensor]) -> Packed:
        """Return the same rows after ``move`` of every tensor."""


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
        packed: the substitutes in packed rows, if they were packed before the step, and the parts
            that they were made of; see ``packed_before``.
        known: values of some parts in main memory, each with the part that it belongs to; see
            ``on_host``.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None
    labels: Tensor
    substitute_ids: Tensor | None = None
    substitute_mask: Tensor | None = None
    whole: Batch | None = None
    rows: Tensor | None = None
    packed: tuple[Packed, tuple[Tensor | None, ...]] | None = field(default=None, repr=False)
    known: Mapping[str, tuple[Tensor, NDArray[Any]]] = field(default_factory=dict, repr=False)

    def on_host(self, name: str) -> NDArray[Any]:
        """Return the values of the part ``name`` in main memory.

        The training loop knows them before the step. Elsewhere the device is asked, and a GPU
        then has to finish first.
        """
        part: Tensor = getattr(self, name)
        tensor, values = self.known.get(name, (None, None))
        # A part may have been replaced since.
        if values is not None and tensor is part:
            return values
        found: NDArray[Any] = part.detach().cpu().numpy()
        return found

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each row, ``(batch,)``, in main memory."""
        found: NDArray[np.int64] = self.on_host("attention_mask").sum(1)
        return found

    @property
    def packed_before(self) -> Packed | None:
        """The substitutes in packed rows; None if they were not packed, or were replaced since."""
        if self.packed is None:
            return None
        packed, made_of = self.packed
        same = all(one is other for one, other in zip(made_of, self._packable(), strict=True))
        return packed if same else None

    def with_packed(self, packed: Packed) -> Batch:
        """Return the batch together with its substitutes in packed rows."""
        return replace(self, packed=(packed, self._packable()))

    def _packable(self) -> tuple[Tensor | None, ...]:
        texts = (self.input_ids, self.attention_mask, self.token_type_ids)
        return (*texts, self.substitute_ids, self.substitute_mask)

    def share(self, rank: int, processes: int) -> Batch:
        """Return the rows of process ``rank`` of ``processes``.

        They are every ``processes``-th row, with the padding of the whole batch. If there are
        too few rows, a process gets the first one.
        """
        import torch

        rows = torch.arange(len(self.labels), device=self.labels.device)[rank::processes]
        rows = rows if len(rows) else rows.new_zeros(1)
        mine: dict[str, Any] = {}
        for name, part in self._tensors().items():
            mine[name] = None if part is None else part[rows]
        known = {
            name: (mine[name], self.on_host(name)[rank::processes])
            for name, (part, _) in self.known.items()
            if part is getattr(self, name) and rank < len(self.labels)
        }
        return replace(self, **mine | {"whole": self, "rows": rows, "packed": None, "known": known})

    def to(self, device: torch.device | str) -> Batch:
        """Return a batch of main memory on ``device``; a GPU is not waited for.

        The values of some parts stay known (``on_host``).
        """
        from robench.models.moving import on_device

        return self._moved(lambda part: on_device(part, device))

    def pinned(self) -> Batch:
        """Return a batch of main memory in pages that a GPU copies by itself."""
        return self._moved(lambda part: part.pin_memory())

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        parts = {**self._tensors(), "rows": self.rows}
        moved: dict[str, Any] = {
            name: None if part is None else move(part) for name, part in parts.items()
        }
        known = {name: (moved[name], self.on_host(name)) for name in ON_HOST}
        whole, packed = self.whole, self.packed_before
        found = replace(
            self,
            **moved,
            whole=None if whole is None else whole._moved(move),
            packed=None,
            known=known,
        )
        return found if packed is None else found.with_packed(packed.moved(move))

    def _tensors(self) -> dict[str, Any]:
        """Return the parts with one entry for each row."""
        others = {"whole", "rows", "packed", "known"}
        return {
            part.name: getattr(self, part.name) for part in fields(self) if part.name not in others
        }


class TextQuery(Protocol):
    """A query about one text, with its token ids and types ``(tokens,)``."""

    @property
    def ids(self) -> NDArray[np.int32]:
        """The token ids."""

    @property
    def types(self) -> NDArray[np.int8]:
        """The token types."""


def tokens_of(query: TextQuery, device: str, *, segments: bool) -> tuple[Tensor, Tensor | None]:
    """Return the ids and the token types of a query's text, ``(1, tokens)`` each.

    Args:
        query: the query.
        device: where the tensors are made.
        segments: whether the encoder gets token types; None stands for those that it does not get.
    """
    import torch

    ids = torch.as_tensor(query.ids, dtype=torch.long, device=device)[None]
    if not segments:
        return ids, None
    return ids, torch.as_tensor(query.types, dtype=torch.long, device=device)[None]
