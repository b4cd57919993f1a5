"""From words to the token ids that the victim reads.

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
from robench.text.candidates import CandidateEncoder, Frame, Ids
from robench.text.layout import plain, template
from robench.text.space import SearchSpace, check_words
from robench.text.word_table import WordTable


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


class FieldEncoder:
    """The encoder of one task's fields for one victim.

    Args:
        table: the victim's word table.
        field_names: the task's fields in reading order.
        attackable: the field whose words may be replaced.
        max_tokens: size of the window, special tokens included.
        segments: whether the encoder's pair template is used; see ``layout``.

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
        self._layout = (template if segments else plain)(table.tokenizer, len(self.field_names))
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
    ) -> tuple[EncodedText, Frame]:
        flat = list(chain.from_iterable(pieces))
        frame = self._frame(fields, len(flat))
        ids = np.concatenate([frame.head, np.array(flat[: frame.room], dtype=np.int32), frame.tail])
        return EncodedText(ids, frame.types(len(ids))), frame

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
        check_words(space, words, self.attackable)
        original = self.table.text_ids(space.words)
        return CandidateEncoder(self.table, space, self._frame(words, sum(map(len, original))))

    def _frame(self, fields: Mapping[str, Sequence[str]], wanted: int) -> Frame:
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
        return Frame(
            head=np.array(head, np.int32),
            head_types=np.array(head_types, np.int8),
            tail=np.array(tail, np.int32),
            tail_types=np.array(tail_types, np.int8),
            field_type=layout.field_types[slot],
            room=self.max_tokens - len(head) - len(tail),
        )
