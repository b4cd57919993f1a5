"""Rates as percent, and p-values, as text."""

from __future__ import annotations


def percent(rate: float) -> str:
    """Return a rate in [0, 1] as percent with one decimal, without the sign."""
    return f"{100 * rate:.1f}"


def signed_percent(rate: float) -> str:
    """Return a difference as points with its sign; zero has none."""
    text = percent(rate)
    return text.removeprefix("-") if float(text) == 0 else text if rate < 0 else f"+{text}"


def p_value_text(p: float) -> str:
    """Return a p-value with three decimals."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
