"""What an attack declared that it needs to see (``Attack.access``) is what it is shown."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robench.search.space import Choice, Oracle

Access = Literal["probabilities", "labels", "gradients"]


def restrict(oracle: Oracle, access: Access) -> Oracle:
    """``oracle`` as a search with that access may see it."""
    return LabelOracle(oracle) if access == "labels" else oracle


class LabelOracle:
    """Answers with the predicted class only: 1 for it and 0 for the others, be it asked for logits or for probabilities."""

    __slots__ = ("_oracle",)

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """See ``robench.Oracle``; one-hot."""
        return _one_hot(self._oracle.logits(choices))

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """See ``robench.Oracle``; one-hot."""
        return _one_hot(self._oracle.logits(choices))

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """See ``robench.Oracle``; one-hot."""
        return _one_hot(self._oracle.probs_without(choice, positions))


def _one_hot(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(batch, classes)`` -> the same shape, 1 at the largest score of each row (the first of equals, as everywhere)."""
    labels = np.zeros(scores.shape, dtype=np.float32)
    labels[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    return labels
