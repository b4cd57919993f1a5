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

__all__ = [
    "Candidates",
    "FieldEncoding",
    "ForwardQueue",
    "PendingAnswers",
    "Reader",
    "SearchVictim",
    "Table",
    "TextReader",
    "TokenTypes",
]


class Reader(Protocol):
    """How a victim reads texts. It is known before the victim is trained."""

    @property
    def encoder_fields(self) -> FieldEncoding:
        """The encoder from an example to rows of token ids."""

    @property
    def attackable(self) -> str:
        """Name of the field whose words may be replaced."""


class PendingAnswers(Protocol):
    """The answers of a forward pass that may still be in flight."""

    def ready(self) -> bool:
        """Return whether ``result`` returns or raises without waiting."""

    def result(self) -> NDArray[np.float32]:
        """Wait for the answers and return them, ``(rows, classes)``.

        It raises whatever went wrong in the forward pass.
        """


class ForwardQueue(Protocol):
    """The queue of a victim on a device of its own, which computes while the processor packs."""

    @property
    def depth(self) -> int:
        """Most forward passes that should be in flight."""

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingAnswers:
        """Queue a forward pass; ``SearchVictim.logits`` describes the arguments.

        The arrays do not change afterwards.
        """


class TextReader(Reader, Protocol):
    """Everything about a victim but its answers: what a search process needs to have itself."""

    @property
    def table(self) -> Table:
        """Its table: what rows are and how they are padded."""

    @property
    def segments(self) -> bool:
        """Whether it reads token types."""

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text, given as the string of every field by name; verdicts rest on this."""


class SearchVictim(TextReader, Protocol):
    """A classifier, as far as searches and verdicts see it.

    It may have a method ``forward_queue() -> ForwardQueue | None``. If that gives a queue, all
    forward passes of searches and verdicts go through it. A row has the same answer in the queue
    whenever it is asked.
    """

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
