"""Examples as token ids with the substitutes of every position, and the batches made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from robench.text.words import split_words
from robench.training.defense import Batch

if TYPE_CHECKING:
    from robench.tasks.example import Example
    from robench.text.encoding import FieldEncoder
    from robench.text.word_table import WordTable

NO_SUBSTITUTES = 0

Integer = TypeVar("Integer", bound=np.integer[Any])


class Substitutes(Protocol):
    """What is asked of a substitution set (``robench.text.substitutions.SubstitutionSet``)."""

    def of(self, word: str, lookup: Literal["cased", "lower"]) -> Sequence[str]:
        """The substitutes of ``word``, the word itself not among them."""


class SubstituteTable:
    """Token ids of each word's substitutes; a word is looked up once, however often it stands in the data.

    Only words and substitutes of a single token can be mixed position by position: in protocol ``rift2021`` all are, in ``subword`` the
    others keep their own embedding in the hull (the searches substitute them all the same). Substitutes that share a token (the unknown one)
    make one slot: the hull is the same.
    """

    def __init__(
        self, table: WordTable, substitutes: Substitutes | None, lookup: Literal["cased", "lower"]
    ) -> None:
        self._table = table
        self._substitutes = substitutes
        self._lookup = lookup
        self._kinds: dict[str, int] = {}
        self._rows: list[tuple[int, ...]] = [()]
        self._dense: NDArray[np.int32] | None = None

    def prepare(self, words: Iterable[str]) -> None:
        """Tokenise ``words`` and all their substitutes in one batch, for tokenizers that are slow one by one."""
        fresh = sorted({word for word in words if word not in self._kinds})
        self._table.prepare(fresh)
        if self._substitutes is not None:
            self._table.prepare(
                {
                    substitute
                    for word in fresh
                    for substitute in self._substitutes.of(word, self._lookup)
                }
            )

    def kind(self, word: str) -> int:
        """Row of ``word`` in ``dense``; ``NO_SUBSTITUTES`` when nothing may stand in its place."""
        known = self._kinds.get(word)
        if known is None:
            row = self._row(word)
            known = self._kinds[word] = len(self._rows) if row else NO_SUBSTITUTES
            if row:
                self._rows.append(row)
                self._dense = None
        return known

    def _row(self, word: str) -> tuple[int, ...]:
        own = tuple(self._table.ids(word))
        if self._substitutes is None or len(own) != 1:
            return ()
        ids = (
            tuple(self._table.ids(substitute))
            for substitute in self._substitutes.of(word, self._lookup)
        )
        return tuple(
            dict.fromkeys(pieces[0] for pieces in ids if len(pieces) == 1 and pieces != own)
        )

    @property
    def dense(self) -> NDArray[np.int32]:
        """``(kinds, most substitutes)`` token ids, filled up with -1."""
        if self._dense is None:
            width = max(map(len, self._rows))
            self._dense = np.full((len(self._rows), width), -1, dtype=np.int32)
            for index, row in enumerate(self._rows):
                self._dense[index, : len(row)] = row
        return self._dense


@dataclass(frozen=True)
class EncodedExamples:
    """Examples ready for batching.

    Attributes:
        ids: one int32 array ``(tokens,)`` an example, special tokens included.
        types: token types of the same shape, or None where the encoder gets none.
        kinds: row of ``substitutes.dense`` of each token; 0 for special tokens, for fields that are not attackable and words without substitutes.
        labels: ``(examples,)``.
        substitutes: the table that ``kinds`` points into.
        pad_id: token that fills up a batch.
    """

    ids: Sequence[NDArray[np.int32]]
    types: Sequence[NDArray[np.int8]] | None
    kinds: Sequence[NDArray[np.int32]]
    labels: NDArray[np.int64]
    substitutes: SubstituteTable
    pad_id: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example."""
        return [len(ids) for ids in self.ids]

    def joined(self, more: EncodedExamples) -> EncodedExamples:
        """These and after them ``more``, which the same ``substitutes`` were used for."""
        assert more.substitutes is self.substitutes
        types = None if self.types is None or more.types is None else [*self.types, *more.types]
        labels = np.concatenate([self.labels, more.labels])
        return EncodedExamples(
            [*self.ids, *more.ids],
            types,
            [*self.kinds, *more.kinds],
            labels,
            self.substitutes,
            self.pad_id,
        )

    def batch(
        self,
        indices: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        substitutes: bool = False,
    ) -> Batch:
        """The examples at ``indices`` as one batch, padded to the longest; with substitution slots (as many as it needs) if asked."""
        ids = pad_rows([self.ids[index] for index in indices], self.pad_id)
        mask = np.arange(ids.shape[1]) < np.asarray([[len(self.ids[index])] for index in indices])
        types = (
            None
            if self.types is None
            else torch.as_tensor(
                pad_rows([self.types[index] for index in indices], 0),
                dtype=torch.long,
                device=device,
            )
        )
        batch = Batch(
            input_ids=torch.as_tensor(ids, dtype=torch.long, device=device),
            attention_mask=torch.as_tensor(mask, dtype=torch.long, device=device),
            token_type_ids=types,
            labels=torch.as_tensor(self.labels[np.asarray(indices)], device=device),
        )
        if substitutes:
            slots = self.substitutes.dense[
                pad_rows([self.kinds[index] for index in indices], NO_SUBSTITUTES)
            ]
            slots = slots[:, :, : int((slots >= 0).sum(-1).max(initial=0))]
            slots = np.concatenate(
                [ids[:, :, None], np.where(slots >= 0, slots, ids[:, :, None])], axis=-1
            )
            allowed = slots != ids[:, :, None]
            allowed[:, :, 0] = True
            batch.substitute_ids = torch.as_tensor(slots, dtype=torch.long, device=device)
            batch.substitute_mask = torch.as_tensor(allowed, device=device)
        return batch


def pad_rows(rows: Sequence[NDArray[Integer]], fill: int) -> NDArray[Integer]:
    """Stack rows of unequal length, filled up on the right, ``(rows, longest)``."""
    padded = np.full((len(rows), max(map(len, rows))), fill, dtype=rows[0].dtype)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


def encode_examples(
    examples: Iterable[Example],
    encoder: FieldEncoder,
    substitutes: SubstituteTable,
    attackable: str,
    *,
    segments: bool,
) -> EncodedExamples:
    """Encode ``examples`` exactly as the victim will read them.

    Args:
        segments: keep token types (the protocol tells a pair's fields apart by them).
    """
    ids, types, kinds, labels = [], [], [], []
    words = [
        (example.label, {name: split_words(text) for name, text in example.fields.items()})
        for example in examples
    ]
    substitutes.prepare({word for _, fields in words for word in fields[attackable]})
    for label, fields in words:
        row = encoder.encode(fields)
        kind = np.zeros(len(row.ids), dtype=np.int32)
        kind[row.word_starts] = [
            substitutes.kind(word) for word in fields[attackable][: len(row.word_starts)]
        ]
        ids.append(np.asarray(row.ids, dtype=np.int32))
        types.append(np.asarray(row.types, dtype=np.int8))
        kinds.append(kind)
        labels.append(label)
    return EncodedExamples(
        ids,
        types if segments else None,
        kinds,
        np.asarray(labels, dtype=np.int64),
        substitutes,
        encoder.table.pad_id,
    )
