"""Rates as percent."""

from __future__ import annotations


def percent(rate: float) -> str:
    """Return a rate in [0, 1] as percent with one decimal, without the sign."""
    return f"{100 * rate:.1f}"
