"""From words to the token ids that the victim reads, for one text and for its many candidates.

Layouts (special tokens in brackets):

* ``segments=False`` (protocol ``rift2021``; RIFT's ``data.py``): the fields are joined by one
  separator and have one token type: BERT ``[CLS] P [SEP] H [SEP]``, RoBERTa ``<s> P </s> H </s>``.
* ``segments=True``: the encoder's own pair template with its token types, such as RoBERTa's
  ``<s> P </s></s> H </s>``.

The window has ``max_tokens`` tokens, special tokens included. It is laid out from the original
words and never from a substitution, so that all candidates of an example share it:

1. The context fields are cut first, from their ends, the last field first, but only so far that
   the attackable field keeps all its words.
2. The context fields together keep at least a quarter of the window. If the attackable field then
   still does not fit, it is cut from its end. (RIFT's release cuts the end of the whole sequence,
   which in a pair is always the attackable hypothesis.)

In subword mode, a candidate with longer pieces can lose its last words from the window, and one
with shorter pieces can gain some. Encoding the candidate's string would give the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import UsageError
from robench.text.space import Choice, SearchSpace
from robench.text.word_table import Tokenizer, WordTable

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class EncodedExample:
    """One encoded example, with the places of its attackable words.

    Attributes:
        ids: ``(tokens,)`` token ids, special tokens included, without padding.
        types: ``(tokens,)`` token types.
        first: index of the first token of the attackable field.
        visible: number of attackable words whose tokens all lie inside the window.
        word_starts: ``(visible,)`` index of each visible word's first token.
    """

    ids: Ids
    types: NDArray[np.int8]
    first: int
    visible: int
    word_starts: Ids


@dataclass(frozen=True)
class EncodedText:
    """One text as token ids, encoded from its string.

    Attributes:
        ids: ``(tokens,)`` token ids, special tokens included, without padding.
        token_types: ``(tokens,)`` their types.
    """

    ids: NDArray[np.int32]
    token_types: NDArray[np.int8]

    def types(self, length: int) -> NDArray[np.int8]:
        """Return the token types ``(length,)``; ``length`` must be the text's own length."""
        return self.token_types


@dataclass(frozen=True)
class Layout:
    """The special tokens around the fields, and every token's type.

    ``gaps[i]`` stands before field i, and ``gaps[-1]`` stands after the last field.
    """

    gaps: tuple[tuple[int, ...], ...]
    gap_types: tuple[tuple[int, ...], ...]
    field_types: tuple[int, ...]

    @property
    def specials(self) -> int:
        """Number of special tokens."""
        return sum(len(gap) for gap in self.gaps)


@dataclass(frozen=True)
class _Frame:
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


class FieldEncoder:
    """The encoder of one task's fields for one victim.

    Args:
        table: the victim's word table.
        field_names: the task's fields in reading order.
        attackable: the field whose words may be replaced.
        max_tokens: size of the window, special tokens included.
        segments: whether the encoder's pair template is used; see the module's docstring.

    Raises:
        UsageError: the task has more fields than the encoder's pair template takes, or the window
            has no room for a word.
    """

    no_unknown_words = ""

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
        self._layout = (template if segments else _plain)(table.tokenizer, len(self.field_names))
        if max_tokens <= self._layout.specials:
            raise UsageError(
                f"A window of {max_tokens} tokens holds no word beside "
                f"{self._layout.specials} special tokens; enlarge max_tokens."
            )

    @property
    def gaps(self) -> tuple[tuple[int, ...], ...]:
        """The special tokens before each field, and those after the last one."""
        return self._layout.gaps

    def encode(self, fields: Mapping[str, Sequence[str]]) -> EncodedExample:
        """Encode an example, given as field name -> words."""
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

    def visible(self, words: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> int:
        """Return how many attackable words lie inside the window; ``texts`` are not read."""
        return self.encode(words).visible

    def unknown_words(self, words: Iterable[str]) -> frozenset[str]:
        """Return those of ``words`` that are read as, or with, the unknown token."""
        return self.table.unknown(words)

    def encode_text(self, fields: Mapping[str, Sequence[str]]) -> EncodedText:
        """Encode an example as ``encode`` does, but return only the tokens and their types."""
        return self._read(fields, self.table.text_ids(fields[self.attackable]))[0]

    def _read(
        self, fields: Mapping[str, Sequence[str]], pieces: Sequence[Sequence[int]]
    ) -> tuple[EncodedText, _Frame]:
        flat = list(chain.from_iterable(pieces))
        frame = self._frame(fields, len(flat))
        ids = np.concatenate([frame.head, np.array(flat[: frame.room], dtype=np.int32), frame.tail])
        return EncodedText(ids, _types(frame, len(ids))), frame

    def candidates(
        self,
        words: Mapping[str, Sequence[str]],
        space: SearchSpace,
        texts: Mapping[str, str] | None = None,
    ) -> CandidateEncoder:
        """Return an encoder for all texts of ``space``; ``texts`` are not read.

        Raises:
            ValueError: the words of ``space`` are not those of the attackable field.
        """
        if tuple(words[self.attackable]) != space.words:
            raise ValueError(f"the space's words are not those of field '{self.attackable}'")
        original = self.table.text_ids(space.words)
        return CandidateEncoder(self.table, space, self._frame(words, sum(map(len, original))))

    def _frame(self, fields: Mapping[str, Sequence[str]], wanted: int) -> _Frame:
        """Lay out the window for an attackable field that would like ``wanted`` tokens."""
        layout, slot = self._layout, self._slot
        budget = self.max_tokens - layout.specials
        # What is left for the context fields: the attackable field takes the rest.
        left = max(budget - wanted, budget // 4)
        head, head_types = list(layout.gaps[0]), list(layout.gap_types[0])
        tail: list[int] = []
        tail_types: list[int] = []
        for index, name in enumerate(self.field_names):
            ids: list[int] = []
            if index != slot:
                ids = list(chain.from_iterable(self.table.text_ids(fields[name])))[:left]
                left -= len(ids)
            # The gap after the attackable field itself already belongs to the tail.
            part, part_types = (head, head_types) if index < slot else (tail, tail_types)
            part += [*ids, *layout.gaps[index + 1]]
            part_types += [*[layout.field_types[index]] * len(ids), *layout.gap_types[index + 1]]
        return _Frame(
            head=np.array(head, np.int32),
            head_types=np.array(head_types, np.int8),
            tail=np.array(tail, np.int32),
            tail_types=np.array(tail_types, np.int8),
            field_type=layout.field_types[slot],
            room=self.max_tokens - len(head) - len(tail),
        )


class CandidateEncoder:
    """An encoder of one example's choices; built by ``FieldEncoder.candidates``.

    It gathers the ids of options that were tokenised once, and handles no string afterwards.
    """

    def __init__(self, table: WordTable, space: SearchSpace, frame: _Frame) -> None:
        self.pad_id = table.pad_id
        self._frame = frame
        self._word_mode = table.mode == "word"
        table.prepare(chain.from_iterable(space.options))
        pieces = []
        for position, options in enumerate(space.options):
            pieces.append([table.ids(option, first=position == 0) for option in options])
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
        return self._assemble(self._offsets + choices[:, : self._used].astype(np.int64))

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
        return _types(self._frame, length)

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

    def _assemble(self, options: NDArray[np.int64]) -> tuple[Ids, Ids]:
        """Return ids and lengths for option numbers ``(batch, used words)``."""
        return self._assemble_words(options) if self._word_mode else self._assemble_pieces(options)

    def _assemble_words(self, options: NDArray[np.int64]) -> tuple[Ids, Ids]:
        """Assemble rows in word mode: every word has one id, so all rows have one length."""
        frame, batch = self._frame, len(options)
        head = len(frame.head)
        total = head + self._used + len(frame.tail)
        ids = np.empty((batch, total), dtype=np.int32)
        ids[:, :head] = frame.head
        np.take(self._pool, options, out=ids[:, head : head + self._used])
        ids[:, head + self._used :] = frame.tail
        return ids, np.full(batch, total, dtype=np.int32)

    def _assemble_pieces(self, options: NDArray[np.int64]) -> tuple[Ids, Ids]:
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


def _types(frame: _Frame, length: int) -> NDArray[np.int8]:
    inner = length - len(frame.head) - len(frame.tail)
    return np.concatenate(
        [frame.head_types, np.full(inner, frame.field_type, np.int8), frame.tail_types]
    )


def _probe(tokenizer: Tokenizer, *texts: str) -> tuple[list[int], list[int], list[bool]]:
    """Encode a short text or pair with the tokenizer's own template.

    Returns:
        The ids, the token types, and for each token whether it is a special token.
    """
    encoded = tokenizer(
        *texts,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
    )
    ids = list(encoded["input_ids"])
    types = list(encoded.get("token_type_ids", [0] * len(ids)))
    return ids, types, [bool(mark) for mark in encoded["special_tokens_mask"]]


def template(tokenizer: Tokenizer, fields: int) -> Layout:
    """Return the tokenizer's own template for one text or a pair.

    Raises:
        UsageError: there are more than two fields.
    """
    if fields > 2:
        raise UsageError(
            f"A task of {fields} fields does not fit the encoder's pair template; "
            "use a protocol without segments, such as rift2021."
        )
    ids, types, special = _probe(tokenizer, *["a"] * fields)
    first = special.index(False)
    if fields == 1:
        last = len(special) - special[::-1].index(False)
        return Layout(
            (tuple(ids[:first]), tuple(ids[last:])),
            (tuple(types[:first]), tuple(types[last:])),
            (types[first],),
        )
    size = len(tokenizer("a", add_special_tokens=False)["input_ids"])
    second = special.index(False, first + size)
    cuts = ((0, first), (first + size, second), (second + size, len(ids)))
    return Layout(
        tuple(tuple(ids[start:end]) for start, end in cuts),
        tuple(tuple(types[start:end]) for start, end in cuts),
        (types[first], types[second]),
    )


def _plain(tokenizer: Tokenizer, fields: int) -> Layout:
    """Return a layout of one token type, with the fields joined by the separator.

    The first and the last gap are those of the tokenizer's template for a single text.
    """
    single = template(tokenizer, 1)
    separator = getattr(tokenizer, "sep_token_id", None)
    between = single.gaps[1] if separator is None else (int(separator),)
    gaps = (single.gaps[0], *[between] * (fields - 1), single.gaps[1])
    kind = single.field_types[0]
    return Layout(gaps, tuple((kind,) * len(gap) for gap in gaps), (kind,) * fields)
