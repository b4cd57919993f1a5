"""Turn logits into probabilities and log-odds, in the same way for searches and for verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the probabilities of logits ``(…, classes)``, computed in double precision."""
    return exact_softmax(logits).astype(np.float32)


def exact_softmax(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the softmax over the last axis as double-precision numbers."""
    # Subtracting the maximum keeps the exponentials from overflowing.
    powers = np.exp(values.astype(np.float64) - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def log_softmax(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the logarithms of ``exact_softmax``; they are finite where it rounds to 0."""
    shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def log_odds(
    logits: NDArray[np.floating[Any]], label: int | NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the logit of the label minus the largest other logit, in double precision.

    It is positive where the victim is right. With two classes it is log(p_y / (1 - p_y)). If the
    logits are multiplied by s, it is multiplied by s too. So a search compares log-odds with
    each other or with those of the clean text, never with a constant other than 0.

    Args:
        logits: ``(batch, classes)``.
        label: one for all rows, or one per row ``(batch,)``.

    Returns:
        ``(batch,)``.
    """
    rows = np.arange(len(logits))
    values = logits.astype(np.float64)
    own = values[rows, label]
    # Without the label's own logit, the maximum is that of the best other class.
    values[rows, label] = -np.inf
    return np.asarray(own - values.max(axis=1))


def shares_of_clean(odds: NDArray[np.float64], clean: float) -> NDArray[np.float64]:
    """Return log-odds in units of the clean text's, in which the scale of the logits cancels.

    The clean text has the share 1, a text at the border of the class 0.

    Args:
        odds: log-odds of some texts, ``(batch,)``.
        clean: log-odds of the clean text. Where a tie makes them 0, the unit is the largest
            absolute value of ``odds``.

    Returns:
        ``(batch,)``.
    """
    unit = clean if clean > 0 else float(np.abs(odds).max(initial=0.0))
    return np.asarray(odds / (unit or 1.0))
