"""The one table that knows what token ids a word has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

from robench._base.errors import UsageError
from robench.text.words import join_words

Mode = Literal["word", "subword"]


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer, fast or slow."""

    unk_token_id: int | None
    pad_token_id: int | None
    all_special_ids: list[int]

    def __call__(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Encode one text, a pair, or a list of texts."""

    def get_vocab(self) -> dict[str, int]:
        """Piece -> id."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Ids -> pieces."""


# A word that every tokenizer can take, put before a word whose pieces inside a text are wanted.
_ANCHOR = "a"
# How tokenizers write the blank before a word: byte-level BPE (GPT-2, RoBERTa) and SentencePiece (ALBERT, XLM-R, T5).
_MARKS = ("Ġ", "▁")
MEMORY_LIMIT = 2**19
"""Words remembered at once (some 100 MB): attacks that misspell make tens of thousands of new ones an example."""
_PROBE = ("The", "film", "'s", "n't", "well-known", "``", "10/10", "naïve", "!", "Zxqvw")


class WordTable:
    """Word -> token ids of one tokenizer; each distinct word is tokenised once, as long as there are no more than ``MEMORY_LIMIT``.

    Mode ``"word"``: exactly one id a word. Where pieces carry no mark of the blank before them (BERT's WordPiece), the word's own vocabulary entry
    (lower-cased if the tokenizer lower-cases) or the unknown token; otherwise (byte-level BPE, SentencePiece) the first piece of ``" word"`` that is more
    than the mark alone. RIFT's release (``modified_tokenizers.py``) keeps the first piece of every *regex chunk* for RoBERTa, so that ids slip against words;
    here they are aligned.

    Mode ``"subword"``: the encoder's own pieces. ``ids(words[0], first=True) + ids(words[1]) + …`` equals tokenising ``" ".join(words)``
    (but for words that spell a special token or hold U+2581, SentencePiece's own blank; ``split_words`` takes bracketed special tokens apart).

    Args:
        tokenizer: any Hugging Face tokenizer, fast or slow.
        mode: see above.

    Raises:
        UsageError: the tokenizer has no unknown or no padding token, or its pieces cross the blanks between words.
    """

    def __init__(self, tokenizer: Tokenizer, mode: Mode) -> None:
        self.tokenizer = tokenizer
        self.mode = mode
        self.unknown_id = _special(tokenizer, "unk")
        self.pad_id = _special(tokenizer, "pad")
        self._inner: dict[str, tuple[int, ...]] = {}
        self._first: dict[str, tuple[int, ...]] = {}
        self._anchor = tuple(self._encode([_ANCHOR])[0])
        if not self._anchor:
            raise UsageError(
                f"{type(tokenizer).__name__} makes no token of the word '{_ANCHOR}': its vocabulary is empty or was not found."
            )
        self.mark = self._find_mark()
        self._vocabulary: dict[str, int] = {}
        self._lower = False
        if mode == "word" and not self.mark:
            special = set(tokenizer.all_special_ids)
            self._vocabulary = {
                piece: index
                for piece, index in tokenizer.get_vocab().items()
                if index not in special
            }
            upper, lower = self._encode(["FILM", "film"])
            self._lower = upper == lower
        self._check()

    def ids(self, word: str, first: bool = False) -> tuple[int, ...]:
        """Token ids of ``word``, length 1 in word mode, possibly 0 in subword mode (a word of characters that the tokenizer drops).

        Args:
            first: whether it begins the text: tokenizers that mark the blank give the first word other pieces. No difference in word mode.
        """
        memory = self._first if first and self.mode == "subword" else self._inner
        if word not in memory:
            self.prepare([word], first=first)
        return memory[word]

    def prepare(self, words: Iterable[str], first: bool = False) -> None:
        """Tokenise the words not yet known in one batch; ``first`` as for ``ids``."""
        memory = self._first if first and self.mode == "subword" else self._inner
        wanted = set(words)
        fresh = sorted(word for word in wanted if word not in memory)
        if not fresh:
            return
        if len(memory) + len(fresh) > MEMORY_LIMIT:
            memory.clear()
            fresh = sorted(wanted)
        if self.mode == "word" and not self.mark:
            for word in fresh:
                memory[word] = (
                    self._vocabulary.get(word.lower() if self._lower else word, self.unknown_id),
                )
        elif memory is self._first:
            memory.update(
                (word, tuple(ids)) for word, ids in zip(fresh, self._encode(fresh), strict=True)
            )
        else:
            self._prepare_inner(fresh)

    def text_ids(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """Ids of each word of one text (its first word as the first)."""
        self.prepare(words[1:])
        return [self.ids(word, first=index == 0) for index, word in enumerate(words)]

    def _prepare_inner(self, fresh: list[str]) -> None:
        size = len(self._anchor)
        for word, ids in zip(
            fresh, self._encode([f"{_ANCHOR} {word}" for word in fresh]), strict=True
        ):
            if tuple(ids[:size]) != self._anchor:
                raise UsageError(
                    f"{type(self.tokenizer).__name__} does not tokenise word by word ('{word}' changes its neighbour), so words cannot be swapped."
                )
            self._inner[word] = self._one(ids[size:]) if self.mode == "word" else tuple(ids[size:])

    def _one(self, ids: list[int]) -> tuple[int, ...]:
        for index, piece in zip(ids, self.tokenizer.convert_ids_to_tokens(ids), strict=True):
            if piece != self.mark:
                return (index,)
        return (ids[0],) if ids else (self.unknown_id,)

    def _encode(self, texts: list[str]) -> list[list[int]]:
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _find_mark(self) -> str:
        ids = self._encode([f"{_ANCHOR} film"])[0][len(self._anchor) :]
        piece = self.tokenizer.convert_ids_to_tokens(ids[:1])[0] if ids else ""
        return next((mark for mark in _MARKS if piece.startswith(mark)), "")

    def _check(self) -> None:
        """Refuse a tokenizer whose pieces are not those of its words, before anything is built on them."""
        if self.mode == "subword":
            pieces = [index for ids in self.text_ids(_PROBE) for index in ids]
            if pieces != self._encode([join_words(_PROBE)])[0]:
                raise UsageError(
                    f"{type(self.tokenizer).__name__} does not tokenise word by word, so words cannot be swapped without tokenising the text again."
                )


def _special(tokenizer: Tokenizer, kind: Literal["unk", "pad"]) -> int:
    index: int | None = getattr(tokenizer, f"{kind}_token_id")
    if index is None:
        name = {"unk": "unknown", "pad": "padding"}[kind]
        raise UsageError(
            f"{type(tokenizer).__name__} has no {name} token; set its {kind}_token or choose another encoder."
        )
    return int(index)
