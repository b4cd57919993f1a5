"""FunctionVictim: a Python function under attack, whatever is behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench.models.given.answers import FunctionAnswers, Predict
from robench.models.given.function_texts import FunctionTexts, NumberedRow, TextNumbers
from robench.models.judged import VictimKind
from robench.models.probabilities import softmax
from robench.text.field_encoding import RowMode

_LEAST = 1e-30
"""Stands for the probability 0, whose logarithm is not a number that searches can use."""


class FunctionTable:
    """A row is one number, which stands for a whole text; rows are never padded."""

    mode: RowMode = "text"
    pad_id = 0
    can_pad = False


class FunctionVictim:
    """A function that takes texts and returns probabilities.

    It is called in this process only, because worker processes cannot load it. Answers are kept
    by text, so a text is asked once as long as there are not too many. An exception inside the
    function costs the examples that it was called for; they become ERROR trials.

    Args:
        predict: takes a list of strings, or of pairs ``(text_a, text_b)`` for a task of two
            fields. It returns probabilities ``(texts, classes)``: anything that
            ``numpy.asarray`` takes.
        labels: the task's labels.
        fields: the task's fields in reading order.
        attackable: the field whose words may be replaced.
        name: the row in tables.
        identity: text that changes whenever the function's answers may change, such as a
            version. Stored trials are used again only for a known identity.
        task: the task's name.
        batch_size: most texts of one call (>= 1).
        order: for each label of the task, the number of the function's column. None means that
            the columns stand in the order of ``labels``.
        draws: how often a text is asked; its answer is the mean over the calls, and is kept. For a
            function that is random (>= 1).

    Attributes:
        order: as given, with None written out.

    Raises:
        UsageError: ``predict`` cannot be called, or the fields, the batch size or the order are
            wrong.
    """

    kind: VictimKind = "function"
    portable = False
    segments = False
    device = "cpu"
    vocabulary = 2
    parameter_bytes = 0

    def __init__(
        self,
        predict: Predict,
        labels: Sequence[str],
        fields: Sequence[str],
        attackable: str,
        name: str,
        identity: str | None = None,
        *,
        task: str = "",
        batch_size: int = 64,
        order: Sequence[int] | None = None,
        draws: int = 1,
    ) -> None:
        _check(predict, labels, fields, attackable, name, batch_size)
        if draws < 1:
            raise UsageError(f"draws must be at least 1, got {draws}.")
        self.name, self.task, self.attackable = name, task, attackable
        self.labels = tuple(labels)
        self.table = FunctionTable()
        if order is not None and sorted(order) != list(range(len(self.labels))):
            raise UsageError(
                f"The order of the columns of function '{name}' must hold each of the numbers 0 "
                f"to {len(self.labels) - 1} once, got {list(order)}."
            )
        self.answers = FunctionAnswers(predict, labels, name, batch_size, order, draws)
        self.order = self.answers.order
        self._numbers = TextNumbers()
        self.encoder_fields = FunctionTexts(self._numbers, fields, attackable)
        self.sha256 = "" if identity is None else hashlib.sha256(identity.encode()).hexdigest()

    @property
    def draws(self) -> int:
        """How often a text is asked."""
        return self.answers.draws

    @property
    def forwards_per_row(self) -> int:
        """How many calls one answer takes: the draws."""
        return self.answers.draws

    def logits(
        self,
        ids: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Return the logarithms of the probabilities ``(batch, classes)`` of texts by number.

        Only ``ids`` is read: ``(batch, 1)``.
        """
        texts = [self._numbers.texts(number) for number in np.asarray(ids)[:, 0].tolist()]
        return _logits(self.answers.remembered(texts))

    def read(self, fields: Mapping[str, str]) -> NumberedRow:
        """Return the row of one text, given as the string of every field."""
        return self.encoder_fields.read(fields)

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Return the probabilities of strings, ``(texts, classes)``.

        The function is asked anew, so that a second answer can be compared with the first. Its
        answers are kept for ``logits``. With ``draws`` above 1, a known answer is given again.
        """
        shown = [tuple(one[name] for name in self.encoder_fields.fields) for one in texts]
        return softmax(_logits(self.answers.anew(shown)))

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Return the index of each text's likeliest label, ``(texts,)``."""
        best: NDArray[np.intp] = self.probs_of_texts(texts).argmax(-1)
        return best

    def row_cost(self, texts: Sequence[Mapping[str, str]]) -> float:
        """Return the number of draws: what a call costs is not known."""
        return float(self.draws)


def _logits(probs: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.log(np.maximum(probs, _LEAST)).astype(np.float32)


def _check(
    predict: object,
    labels: Sequence[str],
    fields: Sequence[str],
    attackable: str,
    name: str,
    batch_size: int,
) -> None:
    if not callable(predict):
        raise UsageError(f"'{name}' is {type(predict).__name__}, which cannot be called.")
    if isinstance(labels, str) or len(set(labels)) != len(labels) or len(labels) < 2:
        raise UsageError(
            f"The labels of function '{name}' must be a list of at least two different names, "
            f"got {labels!r}."
        )
    if attackable not in fields:
        raise UsageError(
            f"The function '{name}' gets the fields {', '.join(fields)}, and the attackable field "
            f"'{attackable}' is not among them."
        )
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}.")
