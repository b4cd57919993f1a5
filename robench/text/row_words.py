"""The words of a row of token ids: which tokens of the attackable field make one word."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.text.encoding import FieldEncoder

OUTSIDE = -1
"""Stands for the tokens that belong to no word of the attackable field."""
_CONTINUATION = "##"
"""How WordPiece marks a piece that continues a word."""


class RowWords:
    """Finds words in rows that one ``FieldEncoder`` made.

    Args:
        fields: the encoder of the rows.
    """

    def __init__(self, fields: FieldEncoder) -> None:
        self._table = fields.table
        gaps = fields.gaps
        slot = fields.field_names.index(fields.attackable)
        # A field's tokens stand behind as many special tokens as the gaps before it have.
        self._before = sum(map(len, gaps[: slot + 1]))
        self._special = np.array(sorted({index for gap in gaps for index in gap}), dtype=np.int64)

    def number(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Return the number of each token's word.

        Args:
            ids: ``(tokens,)``, without padding.

        Returns:
            ``(tokens,)``: 0 for the tokens of the field's first word, and so on; ``OUTSIDE`` for
            special tokens and other fields.
        """
        special = np.isin(ids, self._special)
        inside = ~special & (np.cumsum(special) == self._before)
        if self._table.mode == "word":
            numbers = np.cumsum(inside) - 1
        else:
            begins = inside & ~self._continuing[ids]
            places = np.flatnonzero(inside)
            # The first word of a text bears no mark of the blank before it.
            begins[places[:1]] = True
            numbers = np.cumsum(begins) - 1
        return np.where(inside, numbers, OUTSIDE).astype(np.int32)

    @cached_property
    def _continuing(self) -> NDArray[np.bool_]:
        """For each token id, whether it continues the word before it."""
        vocabulary: Mapping[str, int] = self._table.tokenizer.get_vocab()
        continuing = np.zeros(max(vocabulary.values()) + 1, dtype=bool)
        mark = self._table.mark
        for piece, index in vocabulary.items():
            continuing[index] = (
                not piece.startswith(mark) if mark else piece.startswith(_CONTINUATION)
            )
        continuing[self._table.unknown_id] = False
        return continuing
