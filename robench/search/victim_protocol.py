"""The protocols that a victim must satisfy for searches.

The real victim is ``robench.models.victim.Victim``. Tests use small ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.text.encoding import EncodedText
from robench.text.space import Choice, SearchSpace


class TokenTypes(Protocol):
    """Knows which field each token of a row belongs to."""

    def types(self, length: int) -> NDArray[np.int8]:
        """Return the token types of a row of ``length`` tokens, ``(length,)``."""


class Candidates(TokenTypes, Protocol):
    """Makes the token ids of one example's candidates, without handling strings."""

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
    def max_tokens(self) -> int:
        """Number of tokens of the longest row, special tokens included."""

    def candidates(self, fields: Mapping[str, Sequence[str]], space: SearchSpace) -> Candidates:
        """Return an encoder of the choices in ``space``.

        Args:
            fields: the words of every field.
        """


class Table(Protocol):
    """A table from words to token ids."""

    @property
    def mode(self) -> str:
        """``"word"``: every word is exactly one token; ``"subword"``: it may be several."""

    @property
    def pad_id(self) -> int:
        """The id that pads rows."""


class SearchVictim(Protocol):
    """A trained classifier, as far as searches and verdicts see it."""

    @property
    def table(self) -> Table:
        """Its word table."""

    @property
    def encoder_fields(self) -> FieldEncoding:
        """The encoder from words to rows of token ids."""

    @property
    def attackable(self) -> str:
        """Name of the field whose words may be replaced."""

    @property
    def segments(self) -> bool:
        """Whether it reads token types."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"cuda"``, ``"cuda:1"``."""

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Return the logits ``(batch, classes)`` of rows of token ids ``(batch, tokens)``.

        Of row i, the first ``lengths[i]`` tokens count.
        """

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text, given as the string of every field by name; verdicts rest on this."""
