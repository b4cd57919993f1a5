"""From words to the ids that the victim reads, for one text and for thousands of candidates of it.

Layouts (special tokens in brackets):

* ``segments=False`` (protocol ``rift2021``; RIFT's ``data.py``): fields joined by one separator and one token type: BERT ``[CLS] P [SEP] H [SEP]``,
  RoBERTa ``<s> P </s> H </s>``.
* ``segments=True``: the encoder's own pair template with its token types, such as RoBERTa's ``<s> P </s></s> H </s>``.

The window (``max_tokens``, special tokens included) is laid out from the original words and never from a substitution, so all candidates of an example share
it:

1. The context fields are cut first, from their ends, the last one first, but only so far that the attackable field keeps all its words,
2. and never below a quarter of the window together: then the attackable field is cut from its end. (RIFT's release cuts the end of the whole sequence, which
   in a pair is always the attackable hypothesis.)

In subword mode a candidate's longer pieces can push its tail out of the window and shorter ones can let more of it in, as a forward from the string would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import UsageError
from robench.text.space import Choice, SearchSpace
from robench.text.word_table import Tokenizer, WordTable

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class EncodedExample:
    """One encoded text.

    Attributes:
        ids: ``(tokens,)`` token ids, special tokens included, no padding.
        types: ``(tokens,)`` token types.
        first: index of the token that begins the attackable field.
        visible: number of attackable words whose tokens lie wholly inside the window.
        word_starts: ``(visible,)`` index of each visible word's first token.
    """

    ids: Ids
    types: NDArray[np.int8]
    first: int
    visible: int
    word_starts: Ids


@dataclass(frozen=True)
class EncodedText:
    """One text as the victim reads it, from the string up: ids ``(tokens,)``, their types ``(tokens,)``."""

    ids: NDArray[np.int32]
    token_types: NDArray[np.int8]

    def types(self, length: int) -> NDArray[np.int8]:
        """``(length,)``: of the only length that it has."""
        return self.token_types


@dataclass(frozen=True)
class _Layout:
    """Special tokens around fields: ``gaps[i]`` stands before field i, ``gaps[-1]`` after the last; with each token's type."""

    gaps: tuple[tuple[int, ...], ...]
    gap_types: tuple[tuple[int, ...], ...]
    field_types: tuple[int, ...]

    @property
    def specials(self) -> int:
        return sum(len(gap) for gap in self.gaps)


@dataclass(frozen=True)
class _Frame:
    """What all candidates of one example share: tokens before and after the attackable field, and how many it may fill."""

    head: Ids
    head_types: NDArray[np.int8]
    tail: Ids
    tail_types: NDArray[np.int8]
    field_type: int
    room: int


class FieldEncoder:
    """Encodes the fields of one task for one victim.

    Args:
        table: the victim's words.
        field_names: the task's fields in reading order.
        attackable: the one whose words may be replaced.
        max_tokens: window, special tokens included.
        segments: see the module.

    Raises:
        UsageError: more fields than the encoder's pair template takes, or a window without room for a word.
    """

    def __init__(
        self,
        table: WordTable,
        field_names: Sequence[str],
        attackable: str,
        max_tokens: int,
        segments: bool,
    ) -> None:
        if attackable not in field_names:
            raise ValueError(f"'{attackable}' is not one of the fields {list(field_names)}")
        self.table = table
        self.field_names = tuple(field_names)
        self.attackable = attackable
        self.max_tokens = max_tokens
        self._slot = self.field_names.index(attackable)
        self._layout = (_template if segments else _plain)(table.tokenizer, len(self.field_names))
        if max_tokens <= self._layout.specials:
            raise UsageError(
                f"A window of {max_tokens} tokens holds no word beside {self._layout.specials} special tokens; enlarge max_tokens."
            )

    def encode(self, fields: Mapping[str, Sequence[str]]) -> EncodedExample:
        """Encode the words of each field (field name -> words)."""
        pieces = self.table.text_ids(fields[self.attackable])
        reading, frame = self._read(fields, pieces)
        ends = np.cumsum([0, *map(len, pieces)])
        visible = int(np.searchsorted(ends[1:], frame.room, side="right"))
        return EncodedExample(
            reading.ids,
            reading.token_types,
            len(frame.head),
            visible,
            (ends[:visible] + len(frame.head)).astype(np.int32),
        )

    def encode_text(self, fields: Mapping[str, Sequence[str]]) -> EncodedText:
        """The same where only the tokens are wanted."""
        return self._read(fields, self.table.text_ids(fields[self.attackable]))[0]

    def _read(
        self, fields: Mapping[str, Sequence[str]], pieces: Sequence[Sequence[int]]
    ) -> tuple[EncodedText, _Frame]:
        flat = [index for ids in pieces for index in ids]
        frame = self._frame(fields, len(flat))
        ids = np.concatenate([frame.head, np.array(flat[: frame.room], dtype=np.int32), frame.tail])
        return EncodedText(ids, _types(frame, len(ids))), frame

    def candidates(
        self, fields: Mapping[str, Sequence[str]], space: SearchSpace
    ) -> CandidateEncoder:
        """An encoder for all texts of ``space``, whose words are those of the attackable field."""
        if tuple(fields[self.attackable]) != space.words:
            raise ValueError(f"the space's words are not those of field '{self.attackable}'")
        original = self.table.text_ids(space.words)
        return CandidateEncoder(self.table, space, self._frame(fields, sum(map(len, original))))

    def _frame(self, fields: Mapping[str, Sequence[str]], wanted: int) -> _Frame:
        layout, slot = self._layout, self._slot
        context = [
            [] if index == slot else [i for ids in self.table.text_ids(fields[name]) for i in ids]
            for index, name in enumerate(self.field_names)
        ]
        budget = self.max_tokens - layout.specials
        left = max(budget - wanted, budget // 4)
        for index, ids in enumerate(context):
            context[index] = ids[:left]
            left -= len(context[index])
        head, head_types, tail, tail_types = [*layout.gaps[0]], [*layout.gap_types[0]], [], []  # type: ignore[var-annotated]
        for index, ids in enumerate(context):
            before = index < slot
            part, part_types = (head, head_types) if before else (tail, tail_types)
            part += [*ids, *layout.gaps[index + 1]]
            part_types += [*[layout.field_types[index]] * len(ids), *layout.gap_types[index + 1]]
        room = self.max_tokens - len(head) - len(tail)
        arrays = (
            np.array(head, np.int32),
            np.array(head_types, np.int8),
            np.array(tail, np.int32),
            np.array(tail_types, np.int8),
        )
        return _Frame(*arrays, layout.field_types[slot], room)


class CandidateEncoder:
    """Encodes choices of one example by gathering ids: no string is touched after construction.

    Built by ``FieldEncoder.candidates``.
    """

    def __init__(self, table: WordTable, space: SearchSpace, frame: _Frame) -> None:
        self.pad_id = table.pad_id
        self._frame = frame
        self._word_mode = table.mode == "word"
        table.prepare(option for options in space.options for option in options)
        pieces = [
            [table.ids(option, first=position == 0) for option in options]
            for position, options in enumerate(space.options)
        ]
        if self._word_mode:
            pieces = pieces[: frame.room]
        else:
            shortest = np.cumsum([min(map(len, options)) for options in pieces])
            pieces = pieces[: int(np.searchsorted(shortest, frame.room, side="left")) + 1]
        self._used = len(pieces)
        # One flat list of options, the unknown token last; option c of word w is number offsets[w] + c.
        flat = [ids for options in pieces for ids in options] + [(table.unknown_id,)]
        self._offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)[: self._used]
        self._unknown = len(flat) - 1
        self._lengths = np.fromiter(map(len, flat), dtype=np.int64, count=len(flat))
        self._starts = np.cumsum(self._lengths, dtype=np.int64) - self._lengths
        self._pool = np.fromiter(
            (index for ids in flat for index in ids), dtype=np.int32, count=int(self._lengths.sum())
        )

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """Ids of each choice.

        Args:
            choices: ``(batch, words)``.

        Returns:
            ids ``(batch, tokens)``, padded with ``pad_id`` to the longest, and their lengths ``(batch,)``.
        """
        return self._assemble(self._offsets + choices[:, : self._used].astype(np.int64))

    def encode_without(self, choice: Choice, positions: NDArray[np.intp]) -> tuple[Ids, Ids]:
        """``choice`` with the word at each one of ``positions`` replaced by one unknown token; a row a position, as ``encode`` returns them."""
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
        """Token types ``(length,)`` of a row of that length (without padding)."""
        return _types(self._frame, length)

    def _assemble(self, options: NDArray[np.int64]) -> tuple[Ids, Ids]:
        frame, batch = self._frame, len(options)
        head, tail = len(frame.head), len(frame.tail)
        if self._word_mode:  # one id each, so every row has the same shape
            total = head + self._used + tail
            ids = np.empty((batch, total), dtype=np.int32)
            ids[:, :head] = frame.head
            np.take(self._pool, options, out=ids[:, head : head + self._used])
            ids[:, head + self._used :] = frame.tail
            return ids, np.full(batch, total, dtype=np.int32)
        lengths = self._lengths[options]
        full = lengths.sum(axis=1)
        kept = np.minimum(full, frame.room)
        ids = np.full((batch, head + int(kept.max(initial=0)) + tail), self.pad_id, dtype=np.int32)
        ids[:, :head] = frame.head
        rows = np.repeat(np.arange(batch), full)
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(full) - full, full)
        counts = lengths.ravel()
        source = np.arange(len(rows)) + np.repeat(
            self._starts[options].ravel() - (np.cumsum(counts) - counts), counts
        )
        inside = columns < frame.room
        ids[rows[inside], head + columns[inside]] = self._pool[source[inside]]
        ends = head + kept
        ids[np.arange(batch)[:, None], ends[:, None] + np.arange(tail)] = frame.tail
        return ids, (ends + tail).astype(np.int32)


def _types(frame: _Frame, length: int) -> NDArray[np.int8]:
    inner = length - len(frame.head) - len(frame.tail)
    return np.concatenate(
        [frame.head_types, np.full(inner, frame.field_type, np.int8), frame.tail_types]
    )


def _probe(tokenizer: Tokenizer, *texts: str) -> tuple[list[int], list[int], list[bool]]:
    """Ids, token types and special-token marks of a short text or pair, by the tokenizer's own template."""
    encoded = tokenizer(
        *texts,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
    )
    ids = list(encoded["input_ids"])
    return (
        ids,
        list(encoded.get("token_type_ids", [0] * len(ids))),
        [bool(mark) for mark in encoded["special_tokens_mask"]],
    )


def _template(tokenizer: Tokenizer, fields: int) -> _Layout:
    """The tokenizer's own template for one text or a pair."""
    if fields > 2:
        raise UsageError(
            f"A task of {fields} fields does not fit the encoder's pair template; use a protocol without segments, such as rift2021."
        )
    ids, types, special = _probe(tokenizer, *["a"] * fields)
    first = special.index(False)
    if fields == 1:
        last = len(special) - special[::-1].index(False)
        return _Layout(
            (tuple(ids[:first]), tuple(ids[last:])),
            (tuple(types[:first]), tuple(types[last:])),
            (types[first],),
        )
    size = len(tokenizer("a", add_special_tokens=False)["input_ids"])
    second = special.index(False, first + size)
    cuts = ((0, first), (first + size, second), (second + size, len(ids)))
    return _Layout(
        tuple(tuple(ids[start:end]) for start, end in cuts),
        tuple(tuple(types[start:end]) for start, end in cuts),
        (types[first], types[second]),
    )


def _plain(tokenizer: Tokenizer, fields: int) -> _Layout:
    """Fields joined by the separator inside the template of a single text, all of one token type."""
    single = _template(tokenizer, 1)
    separator = getattr(tokenizer, "sep_token_id", None)
    between = single.gaps[1] if separator is None else (int(separator),)
    gaps = (single.gaps[0], *[between] * (fields - 1), single.gaps[1])
    kind = single.field_types[0]
    return _Layout(gaps, tuple((kind,) * len(gap) for gap in gaps), (kind,) * fields)
