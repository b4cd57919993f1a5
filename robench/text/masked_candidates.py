"""The substitution set ``masked-lm``: words that a masked language model expects in a place.

As in BERT-Attack (Li et al. 2020), the model reads the ORIGINAL text without a mask, and its ``K``
likeliest pieces at a word are the candidates of that word. Only whole words count: letters only, no
word piece, no function word. A word of several pieces has no candidates (the release leaves them
out as well, unless ``use_bpe`` is set). The candidates depend on the text, so they are computed for
each text and not kept as a dictionary. They fit the context and need not keep the meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from robench._base.errors import UsageError
from robench.text.embedding_neighbours import whole_words
from robench.text.function_words import is_content_word
from robench.text.layout import template
from robench.text.sources import Substitutes
from robench.text.substitutions import Lookup, fitting
from robench.text.word_table import WordTable

K: Final = 48
"""Likeliest pieces that are looked at, as in the paper."""
_DIGITS = 3


class MaskedCandidates:
    """Candidates of a masked language model.

    Args:
        model: a ``transformers`` model with a masked-language-model head.
        tokenizer: its tokenizer.
        label: name of the model for records.
        identity: SHA-256 of the model's weights and vocabulary.
        device: a torch device string.
    """

    def __init__(
        self, model: Any, tokenizer: Any, label: str, identity: str, device: str = "cpu"
    ) -> None:
        if getattr(tokenizer, "mask_token_id", None) is None:
            raise UsageError(
                f"The set masked-lm needs a masked language model, and '{label}' has no mask token."
                " Name another one, such as @masked-lm:tiny."
            )
        self.name = f"masked-lm of {label}"
        self.sha256 = hashlib.sha256(f"{identity} {K}".encode()).hexdigest()
        self._model, self._tokenizer, self._device = model.eval().to(device), tokenizer, device
        self._table = WordTable(tokenizer, "subword")
        begin, end = template(tokenizer, 1).gaps
        self._begin, self._end = begin, end
        self._room = _longest(model, tokenizer) - len(begin) - len(end)
        size = model.get_output_embeddings().weight.shape[0]
        self._words = {number: word for word, number in whole_words(tokenizer, size).items()}

    def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
        """See ``SubstituteSource``. With lookup ``"cased"`` only lower-case words have any."""
        self._table.prepare(words)
        pieces = [self._table.ids(word, first=place == 0) for place, word in enumerate(words)]
        wanted = [
            place
            for place, word in enumerate(words[:stop])
            if len(pieces[place]) == 1
            and pieces[place][0] != self._table.unknown_id
            and is_content_word(word)
            and (lookup == "lower" or word.islower())
        ]
        found: Substitutes = {}
        for start, end, places in windows([len(each) for each in pieces], wanted, self._room):
            found |= self._of_window(words, pieces[start:end], start, places, lookup)
        return found

    def _of_window(
        self,
        words: Sequence[str],
        pieces: Sequence[tuple[int, ...]],
        start: int,
        places: Sequence[int],
        lookup: Lookup,
    ) -> Substitutes:
        """Return the candidates at ``places``, read from the words of one window."""
        import torch

        row = [*self._begin]
        columns = {}
        for offset, piece in enumerate(pieces):
            columns[start + offset] = len(row)
            row += piece
        row += self._end
        ids = torch.tensor([row], device=self._device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        # Rounded, and sorted by id where equal, so that another processor gives the same words.
        scores = logits[[columns[place] for place in places]].double().cpu().round(decimals=_DIGITS)
        order = torch.sort(scores, dim=-1, descending=True, stable=True).indices[:, :K].tolist()
        found: Substitutes = {}
        for place, numbers in zip(places, order, strict=True):
            listed = [self._words[number] for number in numbers if number in self._words]
            kept = fitting(words[place], listed, lookup)
            if kept:
                found[place] = kept
        return found


def windows(
    lengths: Sequence[int], places: Sequence[int], room: int
) -> list[tuple[int, int, list[int]]]:
    """Divide a text that is too long for a model into windows that overlap by half.

    Args:
        lengths: number of pieces of each word.
        places: words that are asked for, ascending.
        room: most pieces in a window.

    Returns:
        For each window the first word, the word after the last, and the places that it answers
        for: those for which it has at least a quarter of the room on both sides, if the text has.
    """
    if not places:
        return []
    total = sum(lengths)
    if total <= room:
        return [(0, len(lengths), list(places))]
    before = [0]
    for length in lengths:
        before.append(before[-1] + length)
    found: list[tuple[int, int, list[int]]] = []
    half = max(1, room // 2)
    blocks: dict[int, list[int]] = {}
    for place in places:
        blocks.setdefault(before[place] // half, []).append(place)
    for block, inside in blocks.items():
        # The block's own half of the room, with a quarter on each side.
        low = max(0, min(block * half - (room - half) // 2, total - room))
        start = next(word for word in range(len(lengths)) if before[word] >= low)
        end = start
        while end < len(lengths) and before[end + 1] - before[start] <= room:
            end += 1
        found.append((start, end, [place for place in inside if start <= place < end]))
    return found


def _longest(model: Any, tokenizer: Any) -> int:
    """Return the number of tokens that the model reads at once."""
    known = [512, getattr(model.config, "max_position_embeddings", 512)]
    if tokenizer.model_max_length < 1_000_000:
        known.append(tokenizer.model_max_length)
    return int(min(known))
