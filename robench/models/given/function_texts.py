"""Texts as numbers, so that searches can ask a function about texts as they ask a model.

A row holds one number, which stands for a whole text. Equal texts that are in use at the same time
have one number. A text is kept as long as something that encoded it is kept; the latest texts are
kept in any case. So memory is bounded by the searches that run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from robench.models.given.candidates import PlacedText
from robench.text.encoding import EncodedText
from robench.text.space import Choice, SearchSpace, check_words

Ids = NDArray[np.int32]
Texts = tuple[str, ...]
"""The string of every field, in the task's order."""
UNKNOWN = "[UNK]"
"""Stands in a text for a word that an attack leaves out."""
RECENT = 1024
"""Number of texts that are kept in any case, because the caller may keep only the number."""
_WINDOW = 2
"""Longest row that searches are told: more than the one number, because no text is cut."""


class NumberedText:
    """One text in use, and its number."""

    __slots__ = ("__weakref__", "number", "texts")

    def __init__(self, number: int, texts: Texts) -> None:
        self.number, self.texts = number, texts


@dataclass(frozen=True)
class NumberedRow(EncodedText):
    """A text's row of one number; it keeps the text."""

    text: NumberedText


class TextNumbers:
    """Text -> number and back."""

    def __init__(self) -> None:
        self._by_texts: WeakValueDictionary[Texts, NumberedText] = WeakValueDictionary()
        self._by_number: WeakValueDictionary[int, NumberedText] = WeakValueDictionary()
        self._next = count()
        self._recent: deque[NumberedText] = deque(maxlen=RECENT)

    def of(self, texts: Texts) -> NumberedText:
        """Return the numbered text; the caller keeps it as long as the number is used."""
        found = self._by_texts.get(texts)
        if found is None:
            found = NumberedText(next(self._next), texts)
            self._by_texts[texts] = self._by_number[found.number] = found
            self._recent.append(found)
        return found

    def texts(self, number: int) -> Texts:
        """Return the text of a number that is in use; raise KeyError for any other."""
        return self._by_number[number].texts


class FunctionTexts:
    """The field encoder of a function: it makes strings and numbers, and no tokens."""

    max_tokens = _WINDOW
    no_unknown_words = "a function does not say which words it knows"

    def __init__(self, numbers: TextNumbers, fields: Sequence[str], attackable: str) -> None:
        self.numbers, self.fields, self.attackable = numbers, tuple(fields), attackable

    def read(self, fields: Mapping[str, str]) -> NumberedRow:
        """Return the row of one text, given as the string of every field."""
        text = self.numbers.of(tuple(fields[name] for name in self.fields))
        ids = np.array([text.number], dtype=np.int32)
        return NumberedRow(ids, np.zeros(1, dtype=np.int8), text)

    def visible(self, words: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> int:
        """Return the number of attackable words: a function gets the whole text."""
        return len(words[self.attackable])

    def unknown_words(self, words: Iterable[str]) -> None:
        """Return None: a function does not say which words it knows."""

    def candidates(
        self, words: Mapping[str, Sequence[str]], space: SearchSpace, texts: Mapping[str, str]
    ) -> FunctionCandidates:
        """Return an encoder of the texts of ``space``.

        Raises:
            ValueError: the words of ``space`` are not those of the attackable field.
        """
        check_words(space, words, self.attackable)
        return FunctionCandidates(self, space, texts)


class FunctionCandidates:
    """The encoder of one example's choices; it keeps the texts that it made."""

    def __init__(self, fields: FunctionTexts, space: SearchSpace, texts: Mapping[str, str]) -> None:
        self._fields, self._texts = fields, dict(texts)
        self._placed = PlacedText(texts[fields.attackable], space)
        self._kept: dict[int, NumberedText] = {}

    def types(self, length: int) -> NDArray[np.int8]:
        """Return zeros: a function gets no token types."""
        return np.zeros(length, dtype=np.int8)

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """Return the rows of choices ``(batch, words)``; see ``Candidates``."""
        return self._rows([self._placed.of_choice(choice) for choice in choices])

    def encode_without(self, choice: Choice, positions: NDArray[np.intp]) -> tuple[Ids, Ids]:
        """Return the rows with ``[UNK]`` at each position; see ``Candidates``."""
        texts = [self._placed.of_choice(choice, {at: UNKNOWN}) for at in positions.tolist()]
        return self._rows(texts)

    def _rows(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        attackable, ids = self._fields.attackable, np.empty((len(texts), 1), dtype=np.int32)
        for row, text in enumerate(texts):
            numbered = self._fields.read({**self._texts, attackable: text}).text
            self._kept[numbered.number] = numbered
            ids[row, 0] = numbered.number
        return ids, np.ones(len(texts), dtype=np.int32)
