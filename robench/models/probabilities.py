"""Turn logits into probabilities, in the same way for searches and for verdicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of logits ``(…, classes)``, computed in double precision."""
    return exact_softmax(logits).astype(np.float32)


def exact_softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax over the last axis as double-precision numbers."""
    # Subtracting the maximum keeps the exponentials from overflowing.
    powers = np.exp(values.astype(np.float64) - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
