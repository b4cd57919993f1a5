"""Confidence intervals of proportions, for every room."""

from __future__ import annotations

from functools import cache


@cache
def wilson(rate: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion ``rate`` observed on ``n`` examples.

    Args:
        rate: the observed proportion, in [0, 1].
        n: number of examples, at least 1.
        confidence: the interval's confidence, in (0, 1).
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(rate * n, n, alpha=1 - confidence, method="wilson")
    # At rates of 0 and 1 the interval touches the border. Rounding may leave -1e-18 or 1 + 1e-16.
    return max(0.0, float(low)), min(1.0, float(high))
