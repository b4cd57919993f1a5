"""Ask a model about whole texts outside a search, so that no text depends on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import softmax
from robench.text.encoding import EncodedText

TEXTS_AT_ONCE = 8
"""Rows of every forward outside searches.

With fewer rows a CPU uses other kernels, which change the last bits (``robench.search.shapes``).
"""


class AskRows(Protocol):
    """The method ``logits`` of a victim."""

    def __call__(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the logits ``(batch, classes)`` of rows ``(batch, tokens)``."""


def probs_of_rows(
    logits: AskRows, rows: Sequence[EncodedText], classes: int
) -> NDArray[np.float32]:
    """Return the probabilities ``(rows, classes)`` of encoded texts, in fp32.

    Every text is unpadded, in a forward of ``TEXTS_AT_ONCE`` rows of its own length. So its
    probabilities do not depend on the other texts.
    """
    by_length: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_length.setdefault(len(row.ids), []).append(number)
    found = np.zeros((len(rows), classes), dtype=np.float32)
    for length, numbers in by_length.items():
        for start in range(0, len(numbers), TEXTS_AT_ONCE):
            part = numbers[start : start + TEXTS_AT_ONCE]
            # Copies of the first row fill the forward up.
            full = part + part[:1] * (TEXTS_AT_ONCE - len(part))
            ids = np.asarray([rows[number].ids for number in full])
            types = np.asarray([rows[number].token_types for number in full])
            answers = logits(ids, np.full(TEXTS_AT_ONCE, length, dtype=np.int32), types)
            found[part] = answers[: len(part)]
    return softmax(found)
