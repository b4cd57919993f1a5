"""JudgedVictim: what an evaluation needs of any victim, trained by robench or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.text.encoding import EncodedText
from robench.text.field_encoding import FieldEncoding, Table

VictimKind = Literal["trained", "given", "function"]
"""How a victim came here: trained by robench, a given model, or a Python function."""


class JudgedVictim(Protocol):
    """A classifier under attack: ``Victim``, ``GivenVictim`` or ``FunctionVictim``."""

    @property
    def kind(self) -> VictimKind:
        """How it came here."""

    @property
    def portable(self) -> bool:
        """Whether worker processes can load it."""

    @property
    def name(self) -> str:
        """The name for people and tables."""

    @property
    def task(self) -> str:
        """The name of the task that it is judged on."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, in the order of ``logits``."""

    @property
    def attackable(self) -> str:
        """Name of the field whose words may be replaced."""

    @property
    def sha256(self) -> str:
        """Hash of everything that decides its answers; empty where that is not known."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"cuda"``, ``"cuda:1"``."""

    @property
    def segments(self) -> bool:
        """Whether ``logits`` reads ``types``."""

    @property
    def table(self) -> Table:
        """What rows are and how they are padded."""

    @property
    def encoder_fields(self) -> FieldEncoding:
        """The encoder from an example to rows of token ids."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the model knows (>= 2)."""

    @property
    def parameter_bytes(self) -> int:
        """Size of the parameters in bytes; 0 for a function."""

    @property
    def forwards_per_row(self) -> int:
        """How many rows one answer costs: 1, or the draws of a randomised victim."""

    def logits(
        self,
        ids: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Return the logits ``(batch, classes)`` of rows of token ids ``(batch, tokens)``."""

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text, given as the string of every field by name."""

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Return probabilities ``(texts, classes)`` of strings, in fp32."""

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Return the index of each text's likeliest label, ``(texts,)``."""

    def row_cost(self, texts: Sequence[Mapping[str, str]]) -> float:
        """Estimate the cost of one forward row: parameters x mean token count of ``texts``."""
