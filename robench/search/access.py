"""Show an attack only what it declares that it needs to see (``Attack.access``)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robench.search.oracle_interface import Oracle
from robench.text.space import Choice

Access = Literal["probabilities", "labels", "gradients"]


def restrict(oracle: Oracle, access: Access) -> Oracle:
    """Return ``oracle`` as a search with that access may see it."""
    return LabelOracle(oracle) if access == "labels" else oracle


class LabelOracle:
    """An oracle that answers with hard labels: 1 for the predicted class, 0 for the others.

    Logits and probabilities are the same one-hot rows.
    """

    __slots__ = ("_oracle",)

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return one-hot rows; see ``robench.Oracle``."""
        return _one_hot(self._oracle.logits(choices))

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return one-hot rows; see ``robench.Oracle``."""
        return _one_hot(self._oracle.logits(choices))

    def logits_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return one-hot rows; see ``robench.Oracle``."""
        return _one_hot(self._oracle.logits_without(choice, positions))

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return one-hot rows; see ``robench.Oracle``."""
        return _one_hot(self._oracle.logits_without(choice, positions))


def _one_hot(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(batch, classes)`` with 1 at the largest score of each row.

    The first of equal scores wins, as everywhere in robench.
    """
    labels = np.zeros(scores.shape, dtype=np.float32)
    labels[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    return labels
