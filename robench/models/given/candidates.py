"""The candidates of one text for a given model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robench.models.given.chunks import ChunkTable, NotByChunk, chunk_ends, stands_alone
from robench.models.given.plain_tokens import plain_ids
from robench.text.space import Choice, SearchSpace
from robench.text.words import place_words, replace_spans

Ids = NDArray[np.int32]
Change = tuple[tuple[int, int], ...]
"""The options other than 0 in one chunk, as pairs of position and option."""
_Whole = Callable[[Sequence[str]], list[Ids]]
"""Tokenises whole texts of the attackable field."""


class Rows(Protocol):
    """What candidates need of their reader (``robench.models.given.reader.TextReader``)."""

    tokenizer: Any
    fields: tuple[str, ...]
    attackable: str
    unknown: str
    pad_id: int
    by_chunk: bool
    chunks: ChunkTable

    def encode(self, texts: Sequence[Mapping[str, str]]) -> list[Ids]:
        """Return the row of each text, given as the string of every field."""

    def row(self, attackable: Sequence[int], others: Mapping[str, Sequence[int]]) -> Ids:
        """Return the row of the whole ids of the attackable field and of the others."""


class PlacedText:
    """A text of a space's words, and the texts of its choices.

    Attributes:
        text: the example's text, or its words joined by blanks (``place_words``).
        spans: (start, end) of each word.
    """

    def __init__(self, text: str, space: SearchSpace) -> None:
        self.space = space
        self.text, self.spans = place_words(text, space.words)

    def of_choice(self, choice: Choice, others: Mapping[int, str] | None = None) -> str:
        """Return the text of a choice; ``others`` are further words by position."""
        options = self.space.options
        words = {at: options[at][choice[at]] for at in np.flatnonzero(choice).tolist()}
        return replace_spans(self.text, self.spans, words | dict(others or {}))


class TextCandidates:
    """The encoder of one example's choices; built by ``TextReader.candidates``."""

    def __init__(self, reader: Rows, space: SearchSpace, texts: Mapping[str, str]) -> None:
        self._reader, self._texts = reader, dict(texts)
        self._placed = PlacedText(texts[reader.attackable], space)

    def types(self, length: int) -> NDArray[np.int8]:
        """Return zeros: the numbers of a row hold its token types already."""
        return np.zeros(length, dtype=np.int8)

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """Return the rows of choices ``(batch, words)``; see ``Candidates``."""
        # A single text is tokenised as a whole: its chunks would not be used again.
        if len(choices) > 1 or "_chunked" in vars(self):
            chunked = self._chunked
            if chunked is not None:
                return self._padded(chunked.rows(choices))
        return self._padded(self._whole([self._placed.of_choice(choice) for choice in choices]))

    def encode_without(self, choice: Choice, positions: NDArray[np.intp]) -> tuple[Ids, Ids]:
        """Return the rows with the unknown token at each position; see ``Candidates``."""
        unknown = self._reader.unknown
        texts = [self._placed.of_choice(choice, {at: unknown}) for at in positions.tolist()]
        return self._padded(self._whole(texts))

    def _whole(self, texts: Sequence[str]) -> list[Ids]:
        attackable = self._reader.attackable
        return self._reader.encode([{**self._texts, attackable: text} for text in texts])

    def _padded(self, rows: Sequence[Ids]) -> tuple[Ids, Ids]:
        lengths = np.array([len(row) for row in rows], dtype=np.int32)
        ids = np.full((len(rows), int(lengths.max(initial=0))), self._reader.pad_id, np.int32)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        return ids, lengths

    @cached_property
    def _chunked(self) -> _ChunkedText | None:
        """The text in chunks; None where whole texts have to be tokenised."""
        if not self._reader.by_chunk:
            return None
        try:
            chunked = _ChunkedText(self._reader, self._placed, self._texts, self._whole)
        except NotByChunk:
            return None
        return chunked if chunked.agrees() else None


class _ChunkedText:
    """One text in chunks, each of which is tokenised once for every combination of its options."""

    def __init__(
        self, reader: Rows, placed: PlacedText, texts: Mapping[str, str], whole: _Whole
    ) -> None:
        self._reader, self._placed, self._whole = reader, placed, whole
        ends = chunk_ends(placed.text, placed.spans)
        self._chunks = list(zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True))
        starts = np.array([start for start, _ in placed.spans], dtype=np.intp)
        self._chunk_of = np.searchsorted(np.array(ends), starts, side="right").tolist()
        self._ids: dict[tuple[int, Change], tuple[int, ...] | None] = {}
        self._prepare({(number, ()) for number in range(len(self._chunks))})
        self._original = [self._ids[number, ()] for number in range(len(self._chunks))]
        others = [name for name in reader.fields if name != reader.attackable]
        self._others = {name: plain_ids(reader.tokenizer, [texts[name]])[0] for name in others}

    def agrees(self) -> bool:
        """Return whether the original text's chunks give the tokenizer's own tokens."""
        whole = plain_ids(self._reader.tokenizer, [self._placed.text])[0]
        return None not in self._original and self._joined(self._original) == whole

    def rows(self, choices: NDArray[np.int16]) -> list[Ids]:
        """Return the row of each choice, without padding."""
        changes = [self._changes(choice) for choice in choices]
        # A new chunk that joins its neighbours makes its whole text the slow way.
        try:
            self._prepare({key for change in changes for key in change.items()})
        except NotByChunk:
            return self._whole([self._placed.of_choice(choice) for choice in choices])
        rows: list[Ids] = []
        for choice, change in zip(choices, changes, strict=True):
            parts = list(self._original)
            for number, options in change.items():
                parts[number] = self._ids[number, options]
            ids = None if None in parts else self._joined(parts)
            if not ids:
                rows += self._whole([self._placed.of_choice(choice)])
            else:
                rows.append(self._reader.row(ids, self._others))
        return rows

    def _changes(self, choice: Choice) -> dict[int, Change]:
        """Return the changed chunks: number -> its options."""
        changes: dict[int, Change] = {}
        for position in np.flatnonzero(choice).tolist():
            number = self._chunk_of[position]
            changes[number] = (*changes.get(number, ()), (position, int(choice[position])))
        return changes

    def _prepare(self, keys: set[tuple[int, Change]]) -> None:
        """Tokenise the chunks that are not known yet; None where one does not stand alone."""
        fresh, strings = [key for key in keys if key not in self._ids], []
        for number, change in fresh:
            begin, end = self._chunks[number]
            options = self._placed.space.options
            words = {position: options[position][option] for position, option in change}
            strings.append(replace_spans(self._placed.text, self._placed.spans, words, begin, end))
        last = len(self._chunks) - 1
        alone = [
            (text, number == 0)
            for (number, _), text in zip(fresh, strings, strict=True)
            if stands_alone(text) or (last == 0) or _outer(text, number, last)
        ]
        known = dict(zip(alone, self._reader.chunks.ids(alone), strict=True))
        for key, text in zip(fresh, strings, strict=True):
            self._ids[key] = known.get((text, key[0] == 0))

    @staticmethod
    def _joined(parts: Sequence[tuple[int, ...] | None]) -> list[int]:
        return list(chain.from_iterable(part for part in parts if part is not None))


def _outer(text: str, number: int, last: int) -> bool:
    """Return whether the outer chunk ``text`` has white space only where the text ends."""
    if number == 0:
        return bool(text) and text == text.rstrip()
    return number == last and bool(text) and text == text.lstrip()
