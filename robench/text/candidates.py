"""From the choices of one example to the token ids that the victim reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.text.space import Choice, SearchSpace
from robench.text.word_table import WordTable

Ids = NDArray[np.int32]
MANY = 4096
"""Words of all choices of a query from which on it is worth looking for the changed ones."""
SPARSE = 16
"""One word in so many may differ from the original text for rows to be made by changing it."""


@dataclass(frozen=True)
class Frame:
    """What all candidates of one example share.

    ``head`` and ``tail`` are the tokens before and after the attackable field; ``room`` is the
    number of tokens that the attackable field may fill.
    """

    head: Ids
    head_types: NDArray[np.int8]
    tail: Ids
    tail_types: NDArray[np.int8]
    field_type: int
    room: int

    def types(self, length: int) -> NDArray[np.int8]:
        """Return the token types ``(length,)`` of a row with ``length`` tokens, without padding."""
        inner = length - len(self.head) - len(self.tail)
        return np.concatenate(
            [self.head_types, np.full(inner, self.field_type, np.int8), self.tail_types]
        )


class CandidateEncoder:
    """An encoder of one example's choices; built by ``FieldEncoder.candidates``.

    It gathers the ids of options that were tokenised once, and handles no string afterwards.
    """

    def __init__(self, table: WordTable, space: SearchSpace, frame: Frame) -> None:
        self.pad_id = table.pad_id
        self._frame = frame
        self._word_mode = table.mode == "word"
        table.prepare(chain.from_iterable(space.options))
        pieces = [
            table.ids_of(options, first=position == 0)
            for position, options in enumerate(space.options)
        ]
        # Keep the words that can lie inside the window. A word can be inside if the shortest
        # options of all words before it leave room for a token.
        if self._word_mode:
            pieces = pieces[: frame.room]
        else:
            shortest = np.cumsum([min(map(len, options)) for options in pieces])
            pieces = pieces[: int(np.searchsorted(shortest, frame.room, side="left")) + 1]
        self._used = len(pieces)
        # One flat list of options, the unknown token last. Option c of word w has the number
        # offsets[w] + c; its ids are pool[starts[number] : starts[number] + lengths[number]].
        flat = [*chain.from_iterable(pieces), (table.unknown_id,)]
        self._offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)[: self._used]
        self._unknown = len(flat) - 1
        self._lengths = np.fromiter(map(len, flat), dtype=np.int64, count=len(flat))
        self._starts = np.cumsum(self._lengths, dtype=np.int64) - self._lengths
        self._pool = np.fromiter(
            chain.from_iterable(flat), dtype=np.int32, count=int(self._lengths.sum())
        )

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """Return the token ids of each choice.

        Args:
            choices: ``(batch, words)``.

        Returns:
            The ids ``(batch, tokens)``, padded with ``pad_id`` to the longest row, and the rows'
            lengths ``(batch,)``.
        """
        choices = choices[:, : self._used]
        if self._word_mode and choices.size >= MANY:
            changed = np.flatnonzero(choices != 0)
            if len(changed) * SPARSE < choices.size:
                rows, words = np.divmod(changed, self._used)
                numbers = self._offsets[words] + choices[rows, words]
                return self._changed(self._offsets, len(choices), rows, words, numbers)
        return self._assemble(self._offsets + choices)

    def encode_without(self, choice: Choice, positions: NDArray[np.intp]) -> tuple[Ids, Ids]:
        """Encode ``choice`` once for each position, with that word replaced by the unknown token.

        Returns:
            One row for each of ``positions``, as ``encode`` returns them.
        """
        positions = np.asarray(positions, dtype=np.intp)
        options = np.repeat(
            self._offsets[None, :] + choice[None, : self._used].astype(np.int64),
            len(positions),
            axis=0,
        )
        seen = positions < self._used
        options[np.flatnonzero(seen), positions[seen]] = self._unknown
        return self._assemble(options)

    def types(self, length: int) -> NDArray[np.int8]:
        """Return the token types ``(length,)`` of a row with ``length`` tokens, without padding."""
        return self._frame.types(length)

    def spans(self, choice: Choice) -> NDArray[np.intp]:
        """Return the first token of each word of ``choice`` and the one after its last.

        Returns:
            ``(words, 2)``; both are equal for a word outside the window.
        """
        options = self._offsets + choice[: self._used].astype(np.int64)
        ends = np.minimum(np.cumsum([0, *self._lengths[options]]), self._frame.room)
        # The words that can never lie inside the window begin and end at its end.
        places = np.full(len(choice) + 1, ends[-1], dtype=np.intp)
        places[: len(ends)] = ends
        return np.stack([places[:-1], places[1:]], axis=1) + len(self._frame.head)

    def _assemble(self, options: NDArray[np.integer[Any]]) -> tuple[Ids, Ids]:
        """Return ids and lengths for option numbers ``(batch, used words)``."""
        return self._assemble_words(options) if self._word_mode else self._assemble_pieces(options)

    def _changed(
        self,
        options: NDArray[np.integer[Any]],
        batch: int,
        rows: NDArray[np.intp],
        words: NDArray[np.intp],
        numbers: NDArray[np.integer[Any]] | int,
    ) -> tuple[Ids, Ids]:
        """Assemble rows in word mode that differ from one row in few words.

        Args:
            options: option numbers of that row, ``(used words,)``.
            batch: number of rows.
            rows, words, numbers: which word of which row has which option number instead.
        """
        (whole,), (total,) = self._assemble_words(options[None])
        ids = np.empty((batch, int(total)), dtype=np.int32)
        ids[:] = whole
        ids[rows, len(self._frame.head) + words] = self._pool[numbers]
        return ids, np.full(batch, total, dtype=np.int32)

    def _assemble_words(self, options: NDArray[np.integer[Any]]) -> tuple[Ids, Ids]:
        """Assemble rows in word mode: every word has one id, so all rows have one length."""
        frame, batch = self._frame, len(options)
        head = len(frame.head)
        total = head + self._used + len(frame.tail)
        ids = np.empty((batch, total), dtype=np.int32)
        ids[:, :head] = frame.head
        # Every number is that of an option, and clipping skips the search for one that is not.
        ids[:, head : head + self._used] = self._pool.take(options, mode="clip")
        ids[:, head + self._used :] = frame.tail
        return ids, np.full(batch, total, dtype=np.int32)

    def _assemble_pieces(self, options: NDArray[np.integer[Any]]) -> tuple[Ids, Ids]:
        """Assemble rows in subword mode: a word has any number of ids."""
        frame, batch = self._frame, len(options)
        head, tail = len(frame.head), len(frame.tail)
        lengths = self._lengths[options]
        full = lengths.sum(axis=1)
        kept = np.minimum(full, frame.room)
        ids = np.full((batch, head + int(kept.max(initial=0)) + tail), self.pad_id, dtype=np.int32)
        ids[:, :head] = frame.head
        # For every piece of every row: its row, its column in the attackable field, and the index
        # of its id in the pool.
        rows = np.repeat(np.arange(batch), full)
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(full) - full, full)
        counts = lengths.ravel()
        source = np.arange(len(rows)) + np.repeat(
            self._starts[options].ravel() - (np.cumsum(counts) - counts), counts
        )
        # Drop the pieces outside the window, then put the tail behind the last piece of each row.
        inside = columns < frame.room
        ids[rows[inside], head + columns[inside]] = self._pool[source[inside]]
        ends = head + kept
        ids[np.arange(batch)[:, None], ends[:, None] + np.arange(tail)] = frame.tail
        return ids, (ends + tail).astype(np.int32)
