"""A number with its noun."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return ``"1 record"`` or ``"2 records"`` for the noun ``"record"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
