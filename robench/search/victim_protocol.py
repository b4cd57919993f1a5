"""The protocols that a victim must satisfy for searches.

The real victims are ``Victim``, ``GivenVictim`` and ``FunctionVictim`` of ``robench.models``. Tests
use small ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.text.encoding import EncodedText
from robench.text.field_encoding import Candidates, FieldEncoding, Table, TokenTypes

__all__ = ["Candidates", "FieldEncoding", "Reader", "SearchVictim", "Table", "TokenTypes"]


class Reader(Protocol):
    """How a victim reads texts. It is known before the victim is trained."""

    @property
    def encoder_fields(self) -> FieldEncoding:
        """The encoder from an example to rows of token ids."""

    @property
    def attackable(self) -> str:
        """Name of the field whose words may be replaced."""


class SearchVictim(Reader, Protocol):
    """A classifier, as far as searches and verdicts see it."""

    @property
    def table(self) -> Table:
        """Its table: what rows are and how they are padded."""

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
