"""The table of the token ids that each word has for one tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal, Protocol

from robench._base.errors import UsageError
from robench.text.words import join_words

Mode = Literal["word", "subword"]


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer, fast or slow, that robench uses."""

    unk_token_id: int | None
    pad_token_id: int | None
    all_special_ids: list[int]

    def __call__(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Encode one text, a pair, or a list of texts."""

    def get_vocab(self) -> dict[str, int]:
        """Return piece -> id."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Return the pieces of ``ids``."""


# A word that every tokenizer knows, put before another word to get that word's pieces in a text.
_ANCHOR = "a"
# How tokenizers mark the blank before a word: byte-level BPE (GPT-2, RoBERTa) and SentencePiece
# (ALBERT, XLM-R, T5).
_MARKS = ("Ġ", "▁")
MEMORY_LIMIT = 2**19
"""Number of words kept at once (about 100 MB).

Attacks that misspell words make tens of thousands of new words for each example.
"""
_PROBE = ("The", "film", "'s", "n't", "well-known", "``", "10/10", "naïve", "!", "Zxqvw")


class WordTable:
    """Word -> token ids for one tokenizer.

    Each distinct word is tokenised once, as long as there are at most ``MEMORY_LIMIT`` words.

    Mode ``"word"`` gives exactly one id to each word:

    * If pieces carry no mark of the blank before them (BERT's WordPiece), this is the word's own
      vocabulary entry (lower-cased if the tokenizer lower-cases) or the unknown token.
    * Otherwise (byte-level BPE, SentencePiece) it is the first piece of ``" word"`` that is more
      than the mark alone. RIFT's release (``modified_tokenizers.py``) keeps the first piece of
      every *regex chunk* for RoBERTa, so that its ids are not aligned with the words; here they
      are aligned.

    Mode ``"subword"`` gives the encoder's own pieces:
    ``ids(words[0], first=True) + ids(words[1]) + …`` equals tokenising ``" ".join(words)``. The
    exceptions are words that spell a special token and words with U+2581, SentencePiece's own
    blank. (``split_words`` takes bracketed special tokens apart.)

    Args:
        tokenizer: any Hugging Face tokenizer, fast or slow.
        mode: see above.

    Raises:
        UsageError: the tokenizer has no unknown token or no padding token, or its pieces cross the
            blanks between words.
    """

    can_pad = True

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
                f"{type(tokenizer).__name__} makes no token of the word '{_ANCHOR}': "
                "its vocabulary is empty or was not found."
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
        """Return the token ids of ``word``.

        Args:
            word: one word.
            first: whether the word begins the text. Tokenizers that mark the blank give other
                pieces to the first word. In word mode this makes no difference.

        Returns:
            One id in word mode; any number of ids in subword mode, and none for a word of
            characters that the tokenizer drops.
        """
        memory = self._first if first and self.mode == "subword" else self._inner
        if word not in memory:
            self.prepare([word], first=first)
        return memory[word]

    def ids_of(self, words: Sequence[str], first: bool = False) -> list[tuple[int, ...]]:
        """Return the ids of each of ``words``; ``first`` as in ``ids``."""
        memory = self._first if first and self.mode == "subword" else self._inner
        try:
            return [memory[word] for word in words]
        except KeyError:
            return [self.ids(word, first) for word in words]

    def prepare(self, words: Iterable[str], first: bool = False) -> None:
        """Tokenise in one batch the words that are not known yet; ``first`` as in ``ids``."""
        memory = self._first if first and self.mode == "subword" else self._inner
        wanted = set(words)
        fresh = sorted(word for word in wanted if word not in memory)
        if not fresh:
            return
        # Start again when the memory is full; then all wanted words have to be tokenised.
        if len(memory) + len(fresh) > MEMORY_LIMIT:
            memory.clear()
            fresh = sorted(wanted)
        if self.mode == "word" and not self.mark:
            for word in fresh:
                entry = word.lower() if self._lower else word
                memory[word] = (self._vocabulary.get(entry, self.unknown_id),)
        elif memory is self._first:
            memory.update(
                (word, tuple(ids)) for word, ids in zip(fresh, self._encode(fresh), strict=True)
            )
        else:
            self._prepare_inner(fresh)

    def unknown(self, words: Iterable[str]) -> frozenset[str]:
        """Return those of ``words`` whose ids hold the unknown token, each word by itself."""
        wanted = list(words)
        self.prepare(wanted)
        return frozenset(word for word in wanted if self.unknown_id in self.ids(word))

    def text_ids(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the ids of each word of one text, which begins with ``words[0]``."""
        self.prepare(words[1:])
        return [self.ids(word, first=index == 0) for index, word in enumerate(words)]

    def _prepare_inner(self, fresh: list[str]) -> None:
        """Tokenise words as they stand inside a text: after an anchor word, which is cut off."""
        size = len(self._anchor)
        encoded = self._encode([f"{_ANCHOR} {word}" for word in fresh])
        for word, ids in zip(fresh, encoded, strict=True):
            if tuple(ids[:size]) != self._anchor:
                raise UsageError(
                    f"{type(self.tokenizer).__name__} does not tokenise word by word "
                    f"('{word}' changes its neighbour), so words cannot be replaced."
                )
            pieces = ids[size:]
            self._inner[word] = self._one_id(pieces) if self.mode == "word" else tuple(pieces)

    def _one_id(self, ids: list[int]) -> tuple[int, ...]:
        """Return the first id that is more than the mark of the blank."""
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
        """Return how this tokenizer marks the blank before a word, or an empty string."""
        ids = self._encode([f"{_ANCHOR} film"])[0][len(self._anchor) :]
        piece = self.tokenizer.convert_ids_to_tokens(ids[:1])[0] if ids else ""
        return next((mark for mark in _MARKS if piece.startswith(mark)), "")

    def _check(self) -> None:
        """Refuse a tokenizer that gives a text other pieces than its words."""
        if self.mode == "subword":
            pieces = list(chain.from_iterable(self.text_ids(_PROBE)))
            if pieces != self._encode([join_words(_PROBE)])[0]:
                raise UsageError(
                    f"{type(self.tokenizer).__name__} does not tokenise word by word, "
                    "so words cannot be replaced without tokenising the text again."
                )


def _special(tokenizer: Tokenizer, kind: Literal["unk", "pad"]) -> int:
    """Return the id of a special token, or raise UsageError if the tokenizer has none."""
    index: int | None = getattr(tokenizer, f"{kind}_token_id")
    if index is None:
        name = {"unk": "unknown", "pad": "padding"}[kind]
        raise UsageError(
            f"{type(tokenizer).__name__} has no {name} token; "
            f"set its {kind}_token or choose another encoder."
        )
    return int(index)
