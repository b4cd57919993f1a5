"""The protocols of what a victim reads with: a field encoder, its candidates and its table.

Searches use only these. ``encoding`` and ``candidates`` read the words of a text, joined by blanks.
``robench.models.given`` reads the text as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from robench.text.space import Choice, SearchSpace

RowMode = Literal["word", "subword", "text"]
"""What a row of numbers is.

``"word"``: every word is exactly one number. ``"subword"``: a word may be several. ``"text"``: one
number stands for the whole text, and the victim is a function that rows cannot influence.
"""


class TokenTypes(Protocol):
    """Knows which field each token of a row belongs to."""

    def types(self, length: int) -> NDArray[np.int8]:
        """Return the token types of a row of ``length`` tokens, ``(length,)``."""


class Candidates(TokenTypes, Protocol):
    """Makes the token ids of one example's candidates."""

    def encode(self, choices: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Encode choices ``(batch, words)``.

        Returns:
            Ids ``(batch, tokens)``, padded to the longest row, and lengths ``(batch,)``.
        """

    def encode_without(
        self, choice: Choice, positions: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Encode ``choice`` once per position, with the unknown token in place of that word."""


class FieldEncoding(Protocol):
    """Makes the candidates of an example."""

    @property
    def no_unknown_words(self) -> str:
        """Why ``unknown_words`` cannot tell, or an empty text where it can."""

    @property
    def max_tokens(self) -> int:
        """Number of tokens of the longest row, special tokens included."""

    def visible(self, words: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> int:
        """Return how many attackable words the victim sees with all their tokens.

        Args:
            words: the words of every field.
            texts: the string of every field.
        """

    def unknown_words(self, words: Iterable[str]) -> frozenset[str] | None:
        """Return those of ``words`` that the victim reads as, or with, its unknown token.

        Each word is looked at by itself. None means that robench cannot tell
        (``no_unknown_words`` says why).
        """

    def candidates(
        self, words: Mapping[str, Sequence[str]], space: SearchSpace, texts: Mapping[str, str]
    ) -> Candidates:
        """Return an encoder of the choices in ``space``.

        Args:
            words: the words of every field.
            texts: the string of every field.
        """


class Table(Protocol):
    """What searches need to know of a victim's rows."""

    @property
    def mode(self) -> RowMode:
        """What a row is."""

    @property
    def pad_id(self) -> int:
        """The id that pads rows."""

    @property
    def can_pad(self) -> bool:
        """Whether rows of several lengths may share a forward pass."""
