"""Examples as token ids, with the substitutes of every position, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from robench.models.batch import Batch
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.tasks.example import Example
    from robench.text.encoding import FieldEncoder
    from robench.text.word_table import WordTable

NO_SUBSTITUTES = 0
"""The row of a ``SubstituteTable`` for words that nothing may replace."""
NO_TOKEN = -1
"""Fills up the shorter rows of a ``SubstituteTable``."""

Integer = TypeVar("Integer", bound=np.integer[Any])


class Substitutes(Protocol):
    """The part of ``robench.text.substitutions.SubstitutionSet`` that training uses."""

    def of(self, word: str, lookup: Literal["cased", "lower"]) -> Sequence[str]:
        """Return the substitutes of ``word``, without the word itself."""


class SubstituteTable:
    """Token ids of the substitutes of every word; each word is looked up only once.

    The convex hull mixes embeddings position by position, so it needs words and substitutes of
    one token. In protocol ``rift2021`` every word is one token. In ``subword`` some are not: in
    the hull these keep their own embedding, while searches still substitute them.

    Substitutes that share a token, such as the unknown token, become one slot. The hull is the
    same.
    """

    def __init__(
        self, table: WordTable, substitutes: Substitutes | None, lookup: Literal["cased", "lower"]
    ) -> None:
        self._table = table
        self._substitutes = substitutes
        self._lookup = lookup
        self._row_of: dict[str, int] = {}
        self._rows: list[tuple[int, ...]] = [()]
        self._array: NDArray[np.int32] | None = None

    def prepare(self, words: Iterable[str]) -> None:
        """Tokenise ``words`` and all their substitutes together; one by one would be slow."""
        fresh = sorted({word for word in words if word not in self._row_of})
        self._table.prepare(fresh)
        if self._substitutes is None:
            return
        replacements: set[str] = set()
        for word in fresh:
            replacements.update(self._substitutes.of(word, self._lookup))
        self._table.prepare(replacements)

    def row(self, word: str) -> int:
        """Return the row of ``word`` in ``array``; ``NO_SUBSTITUTES`` where it has none."""
        known = self._row_of.get(word)
        if known is None:
            ids = self._substitute_ids(word)
            known = self._row_of[word] = len(self._rows) if ids else NO_SUBSTITUTES
            if ids:
                self._rows.append(ids)
                self._array = None
        return known

    def _substitute_ids(self, word: str) -> tuple[int, ...]:
        """Return the token ids that may replace ``word``, each once and in their order."""
        own = tuple(self._table.ids(word))
        if self._substitutes is None or len(own) != 1:
            return ()
        # A dict keeps the order and drops repeated ids.
        found: dict[int, None] = {}
        for substitute in self._substitutes.of(word, self._lookup):
            pieces = tuple(self._table.ids(substitute))
            if len(pieces) == 1 and pieces != own:
                found[pieces[0]] = None
        return tuple(found)

    @property
    def array(self) -> NDArray[np.int32]:
        """Token ids, ``(rows, most substitutes)``; shorter rows end in ``NO_TOKEN``."""
        if self._array is None:
            width = max(map(len, self._rows))
            self._array = np.full((len(self._rows), width), NO_TOKEN, dtype=np.int32)
            for index, row in enumerate(self._rows):
                self._array[index, : len(row)] = row
        return self._array


@dataclass(frozen=True)
class EncodedExamples:
    """Examples as token ids, ready to be put into batches.

    Attributes:
        ids: one int32 array ``(tokens,)`` for each example, special tokens included.
        types: token types of the same shape; None where the encoder gets none.
        substitute_rows: for each token, its row of ``substitutes.array``. It is
            ``NO_SUBSTITUTES`` for special tokens, for words without substitutes, and in fields
            that are not attackable.
        labels: ``(examples,)``.
        substitutes: the table that ``substitute_rows`` points into.
        pad_id: the token that fills up a batch.
    """

    ids: Sequence[NDArray[np.int32]]
    types: Sequence[NDArray[np.int8]] | None
    substitute_rows: Sequence[NDArray[np.int32]]
    labels: NDArray[np.int64]
    substitutes: SubstituteTable
    pad_id: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each example."""
        return [len(ids) for ids in self.ids]

    def joined(self, more: EncodedExamples) -> EncodedExamples:
        """Return these examples followed by ``more``; both must use the same ``substitutes``."""
        assert more.substitutes is self.substitutes
        types = None if self.types is None or more.types is None else [*self.types, *more.types]
        return EncodedExamples(
            ids=[*self.ids, *more.ids],
            types=types,
            substitute_rows=[*self.substitute_rows, *more.substitute_rows],
            labels=np.concatenate([self.labels, more.labels]),
            substitutes=self.substitutes,
            pad_id=self.pad_id,
        )

    def batch(
        self,
        indices: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        substitutes: bool = False,
    ) -> Batch:
        """Return the examples at ``indices`` as one batch, padded to the longest of them.

        Args:
            indices: which examples, in this order.
            device: where the tensors are put.
            substitutes: also add the substitution slots, as many as this batch needs.
        """
        ids = pad_rows([self.ids[index] for index in indices], self.pad_id)
        lengths = np.asarray([[len(self.ids[index])] for index in indices])
        mask = np.arange(ids.shape[1]) < lengths
        types = None
        if self.types is not None:
            padded = pad_rows([self.types[index] for index in indices], 0)
            types = torch.as_tensor(padded, dtype=torch.long, device=device)
        batch = Batch(
            input_ids=torch.as_tensor(ids, dtype=torch.long, device=device),
            attention_mask=torch.as_tensor(mask, dtype=torch.long, device=device),
            token_type_ids=types,
            labels=torch.as_tensor(self.labels[np.asarray(indices)], device=device),
        )
        if substitutes:
            slots, allowed = self._slots(indices, ids)
            batch.substitute_ids = torch.as_tensor(slots, dtype=torch.long, device=device)
            batch.substitute_mask = torch.as_tensor(allowed, device=device)
        return batch

    def _slots(
        self, indices: Sequence[int], ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the substitution slots of padded ``ids`` and which of them are in use.

        Both have the shape ``(batch, tokens, slots)``; see ``Batch``.
        """
        rows = pad_rows([self.substitute_rows[index] for index in indices], NO_SUBSTITUTES)
        found = self.substitutes.array[rows]
        # The table is as wide as its longest row; this batch may need fewer slots.
        found = found[:, :, : int((found != NO_TOKEN).sum(-1).max(initial=0))]
        own = ids[:, :, None]
        slots = np.concatenate([own, np.where(found != NO_TOKEN, found, own)], axis=-1)
        allowed = slots != own
        allowed[:, :, 0] = True
        return slots, allowed


def pad_rows(rows: Sequence[NDArray[Integer]], fill: int) -> NDArray[Integer]:
    """Stack rows of unequal length, filled up on the right with ``fill``: ``(rows, longest)``."""
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
        examples: the examples to encode.
        encoder: makes token ids of an example's words.
        substitutes: gives the substitutes of a word.
        attackable: name of the field whose words may be substituted.
        segments: keep token types; a protocol may use them to tell a pair's fields apart.
    """
    ids, types, substitute_rows, labels = [], [], [], []
    split = []
    for example in examples:
        fields = {name: split_words(text) for name, text in example.fields.items()}
        split.append((example.label, fields))
    substitutes.prepare({word for _, fields in split for word in fields[attackable]})
    for label, fields in split:
        encoded = encoder.encode(fields)
        # Words beyond the encoder's window have no token and so no substitutes.
        visible = fields[attackable][: len(encoded.word_starts)]
        table_rows = np.full(len(encoded.ids), NO_SUBSTITUTES, dtype=np.int32)
        table_rows[encoded.word_starts] = [substitutes.row(word) for word in visible]
        ids.append(np.asarray(encoded.ids, dtype=np.int32))
        types.append(np.asarray(encoded.types, dtype=np.int8))
        substitute_rows.append(table_rows)
        labels.append(label)
    return EncodedExamples(
        ids=ids,
        types=types if segments else None,
        substitute_rows=substitute_rows,
        labels=np.asarray(labels, dtype=np.int64),
        substitutes=substitutes,
        pad_id=encoder.table.pad_id,
    )
