"""Fit the temperature of a victim: the number that its logits must be divided by.

It is temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017): the
temperature minimises the negative log-likelihood of labelled texts. It changes no prediction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import log_odds, log_softmax

RANGE = 1e4
"""A temperature lies between the mean absolute log-odds divided by this, and times this."""
DIGITS = 6
"""Significant digits of a temperature; more would depend on rounding errors of the logits."""


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """Return the temperature that fits the labels best; it is multiplied by s if the logits are.

    The label of n texts counts as (n + 1) / (n + 2) instead of 1, and the rest is shared by the
    other classes (Platt 1999). Without this a victim that is always right would get the
    temperature 0.

    Args:
        logits: ``(n, classes)``.
        labels: ``(n,)``.

    Returns:
        A number above 0 with ``DIGITS`` significant digits; 1 if no class ever leads.
    """
    # scipy takes a while to import, and most commands need no temperature.
    from scipy.optimize import minimize_scalar

    unit = float(np.abs(log_odds(logits, labels.astype(np.intp))).mean())
    if not unit > 0:
        return 1.0
    targets, scaled = _soft_targets(labels, logits.shape[1]), logits.astype(np.float64) / unit

    def loss(log_temperature: float) -> float:
        return _cross_entropy(scaled / np.exp(log_temperature), targets)

    bounds = (-np.log(RANGE), np.log(RANGE))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return float(f"{unit * np.exp(found.x):.{DIGITS - 1}e}")


def _soft_targets(labels: NDArray[np.integer[Any]], classes: int) -> NDArray[np.float64]:
    """Return the targets ``(n, classes)``; each row sums to 1."""
    missing = 1 / (len(labels) + 2)
    targets = np.full((len(labels), classes), missing / (classes - 1))
    targets[np.arange(len(labels)), labels] = 1 - missing
    return targets


def _cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return the mean cross-entropy of logits and targets ``(n, classes)``, in nats."""
    return float(-(targets * log_softmax(logits)).sum(axis=1).mean())
