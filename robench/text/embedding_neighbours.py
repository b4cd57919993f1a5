"""The substitution set ``embeddings``: nearest neighbours of a pre-trained encoder's embeddings.

The vectors are those of the encoder's input layer before any fine-tuning, so the set is the same
for every victim. Only whole words of the vocabulary have neighbours: letters only, no word piece,
no function word. The neighbours of a word are at most ``COUNT`` words whose cosine with it is at
least ``BOUND``. Such neighbours share topics and not always meanings: opposites are among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from robench.text.function_words import is_content_word
from robench.text.word_table import WordTable

COUNT: Final = 8
"""Most neighbours of a word, as many as in the published counter-fitted set."""
BOUND: Final = 0.4
"""Least cosine of a word and its neighbour."""
_DECIMALS = 4


class Neighbours(Mapping[str, tuple[str, ...]]):
    """Lower-case word -> its neighbours, the nearest first.

    Args:
        vectors: the embeddings of the vocabulary, ``(pieces, size)``.
        tokenizer: the encoder's tokenizer.
    """

    def __init__(self, vectors: NDArray[np.float32], tokenizer: Any) -> None:
        self._numbers = whole_words(tokenizer, len(vectors))
        self._words = list(self._numbers)
        chosen = vectors[list(self._numbers.values())].astype(np.float32)
        # The common part of all vectors says nothing about a word.
        chosen = chosen - chosen.mean(axis=0, keepdims=True)
        norms = np.linalg.norm(chosen, axis=1, keepdims=True)
        self._unit = chosen / np.maximum(norms, np.finfo(np.float32).tiny)
        self._rows = {word: row for row, word in enumerate(self._words)}

    def __getitem__(self, word: str) -> tuple[str, ...]:
        """Return the neighbours of ``word``; raises KeyError where it is no whole word."""
        row = self._rows[word]
        # Rounded, so that another processor gives the same neighbours.
        cosines = (self._unit @ self._unit[row]).astype(np.float64).round(_DECIMALS)
        cosines[row] = -np.inf
        order = np.argsort(-cosines, kind="stable")[:COUNT]
        return tuple(self._words[other] for other in order if cosines[other] >= BOUND)

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def whole_words(tokenizer: Any, size: int) -> dict[str, int]:
    """Return the lower-case content words of a vocabulary that are one piece, with their ids.

    Args:
        tokenizer: a Hugging Face tokenizer.
        size: number of pieces that have a vector.
    """
    table = WordTable(tokenizer, "subword")
    special = set(tokenizer.all_special_ids)
    texts = {
        number: tokenizer.convert_tokens_to_string([piece]).strip()
        for piece, number in tokenizer.get_vocab().items()
        if number < size and number not in special
    }
    lower = {text for text in texts.values() if len(text) > 1 and text.islower()}
    likely = set(filter(is_content_word, lower))
    table.prepare(likely)
    words = {}
    for number, text in sorted(texts.items()):
        # A piece inside a word gives the same text, but the text does not give it back.
        if text in likely and table.ids(text) == (number,):
            words[text] = number
    return words
