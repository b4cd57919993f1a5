"""Read texts as a given model's own tokenizer does, and many candidates of one text at once.

A row of numbers says everything that the model gets: a token's number is its id, plus its token
type times ``stride``. So rows of one length may have different token types, as they have where a
pair fills the window.

A text is read as it is: ``tokenizer(text, pair, truncation=True, max_length=…)``. A candidate is
the same text with some words exchanged (``robench.text.words.place_words``). Its rows are put
together from chunks where that gives the tokenizer's own rows, and otherwise tokenised as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.models.given.candidates import TextCandidates
from robench.models.given.chunks import ChunkTable
from robench.models.given.plain_tokens import plain_ids
from robench.models.given.window import Window, cuts_from_left
from robench.text.encoding import EncodedText
from robench.text.layout import Layout, template
from robench.text.space import SearchSpace, check_words
from robench.text.words import place_words

Ids = NDArray[np.int32]

_TRIALS = (
    "a",
    "The film's well-known plot isn't “bad”, I'd say 10/10!",
    "Naïve (but ``good'') - zxqvw... $5 <br /><br />The end",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
)
"""Texts on which rows of chunks must equal the tokenizer's rows."""


class TextReader:
    """The reader of one given model.

    Args:
        tokenizer: the model's own, fast or slow.
        fields: the task's fields in reading order, one or two.
        attackable: the field whose words may be replaced.
        max_tokens: the model's window, special tokens included.
        stride: more than the largest token id.
        types: whether the model gets the tokenizer's token types.

    Attributes:
        by_chunk: whether rows are put together from chunks; otherwise every candidate is
            tokenised as a whole, which is slower.
    """

    def __init__(
        self,
        tokenizer: Any,
        fields: Sequence[str],
        attackable: str,
        max_tokens: int,
        stride: int,
        types: bool,
    ) -> None:
        self.tokenizer, self.fields, self.attackable = tokenizer, tuple(fields), attackable
        self.max_tokens, self.stride, self.types = max_tokens, stride, types
        self.unknown = _unknown_word(tokenizer)
        self.pad_id = 0
        self._slot = self.fields.index(attackable)
        self.by_chunk = False
        # A tokenizer may be of any kind; what it does decides, and errors mean the slow way.
        try:
            self.window = self._window(max_tokens)
            self.chunks = ChunkTable(tokenizer)
            self.by_chunk = self._chunks_agree()
        except Exception:
            self.by_chunk = False

    def encode(self, texts: Sequence[Mapping[str, str]]) -> list[Ids]:
        """Return the row of each text, given as the string of every field.

        Raises:
            ValueError: the tokenizer makes no token of a text.
        """
        rows = self._tokenized(texts, self.max_tokens)
        if not all(len(row) for row in rows):
            raise ValueError("the model's tokenizer makes no token of the text")
        return rows

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text; its token types are part of its numbers."""
        row = self.encode([fields])[0]
        return EncodedText(row, np.zeros(len(row), dtype=np.int8))

    def numbers(self, ids: Sequence[int], types: Sequence[int]) -> Ids:
        """Return one row: ids with their token types."""
        row = np.array(ids, dtype=np.int32)
        return row + self.stride * np.array(types, dtype=np.int32) if self.types else row

    def row(self, attackable: Sequence[int], others: Mapping[str, Sequence[int]]) -> Ids:
        """Return the row of the whole ids of the attackable field and of the others."""
        window = self.window
        parts = [attackable if name == self.attackable else others[name] for name in self.fields]
        return self.numbers(*window.row(parts))

    def visible(self, words: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> int:
        """Return how many attackable words the model sees with all their tokens."""
        text, spans = place_words(texts[self.attackable], words[self.attackable])
        ids = {name: plain_ids(self.tokenizer, [texts[name]])[0] for name in self.fields}
        ids[self.attackable] = plain_ids(self.tokenizer, [text])[0]
        window = self.window if self.by_chunk else self._assumed_window()
        lengths = [len(ids[name]) for name in self.fields]
        kept = window.kept(lengths)[self._slot]
        if kept >= lengths[self._slot] or window.from_left:
            return len(spans)
        if not getattr(self.tokenizer, "is_fast", False):
            return self._visible_by_prefix(text, spans, kept)
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        cut = encoded["offset_mapping"][kept][0]
        return sum(end <= cut for _, end in spans)

    @property
    def no_unknown_words(self) -> str:
        """Why ``unknown_words`` cannot tell, or an empty text."""
        known = getattr(self.tokenizer, "unk_token_id", None) is not None
        return "" if known else "the tokenizer has no unknown token"

    def unknown_words(self, words: Iterable[str]) -> frozenset[str] | None:
        """Return those of ``words`` that the tokenizer reads as, or with, its unknown token."""
        if self.no_unknown_words:
            return None
        wanted, unknown = sorted(set(words)), self.tokenizer.unk_token_id
        return frozenset(
            word
            for word, ids in zip(wanted, plain_ids(self.tokenizer, wanted), strict=True)
            if unknown in ids
        )

    def candidates(
        self, words: Mapping[str, Sequence[str]], space: SearchSpace, texts: Mapping[str, str]
    ) -> TextCandidates:
        """Return an encoder of the texts of ``space``.

        Raises:
            ValueError: the words of ``space`` are not those of the attackable field.
        """
        check_words(space, words, self.attackable)
        return TextCandidates(self, space, texts)

    def _tokenized(self, texts: Sequence[Mapping[str, str]], max_tokens: int) -> list[Ids]:
        if not texts:
            return []
        # In lists an empty second text is a text; alone, transformers would take it for none.
        columns = [[text[name] for text in texts] for name in self.fields]
        encoded = self.tokenizer(
            *columns,
            truncation=True,
            max_length=max_tokens,
            return_attention_mask=False,
            verbose=False,
        )
        rows: list[list[int]] = encoded["input_ids"]
        types = encoded.get("token_type_ids") or [[0] * len(row) for row in rows]
        return [self.numbers(ids, kinds) for ids, kinds in zip(rows, types, strict=True)]

    def _window(self, max_tokens: int) -> Window:
        layout = template(self.tokenizer, len(self.fields))
        return Window(layout, max_tokens, self._slot, cuts_from_left(self.tokenizer))

    def _assumed_window(self) -> Window:
        """Return a window that is right but for special tokens where the template is unusual."""
        try:
            return self._window(self.max_tokens)
        except Exception:
            none = ((),) * (len(self.fields) + 1)
            return Window(Layout(none, none, (0,) * len(self.fields)), self.max_tokens, self._slot)

    def _visible_by_prefix(self, text: str, spans: Sequence[tuple[int, int]], kept: int) -> int:
        """Return how many words fit, by tokenising the text up to a word's end."""
        low, high = 0, len(spans)
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(plain_ids(self.tokenizer, [text[: spans[middle - 1][1]]])[0]) <= kept
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _chunks_agree(self) -> bool:
        """Return whether rows of chunks equal the tokenizer's rows, cut and uncut."""
        wholes = plain_ids(self.tokenizer, _TRIALS)
        for text, whole in zip(_TRIALS, wholes, strict=True):
            chunks = [(chunk, number == 0) for number, chunk in enumerate(text.split(" "))]
            if [one for ids in self.chunks.ids(chunks) for one in ids] != whole:
                return False
        for max_tokens in sorted({min(24, self.max_tokens), min(25, self.max_tokens), 512}):
            window = self._window(max_tokens)
            for texts in product(range(len(_TRIALS)), repeat=len(self.fields)):
                fields = {name: _TRIALS[at] for name, at in zip(self.fields, texts, strict=True)}
                row = self.numbers(*window.row([wholes[at] for at in texts]))
                if not np.array_equal(row, self._tokenized([fields], max_tokens)[0]):
                    return False
        return True


def _unknown_word(tokenizer: Any) -> str:
    """Return the text that stands for a word that the model does not know."""
    for name in ("unk_token", "mask_token"):
        token = getattr(tokenizer, name, None)
        if token:
            return str(token)
    return "[UNK]"
