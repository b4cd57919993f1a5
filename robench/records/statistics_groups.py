"""Rows that a test does not tell apart, and the smallest difference that it would tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from scipy.stats import norm

LEVEL: Final = 0.05
"""A corrected p-value up to this one tells two rows apart."""
POWER: Final = 0.8
"""Chance with which ``detectable`` differences are told apart."""
LETTERS: Final = ascii_lowercase + ascii_uppercase


def group_letters(
    rows: Sequence[str], told_apart: Iterable[tuple[str, str]]
) -> Mapping[str, str] | None:
    """Return the letters of each row: two rows share a letter exactly if nothing tells them apart.

    This is the compact letter display (Piepho 2004, Journal of Computational and Graphical
    Statistics 13, 456-466), by insertion and absorption. Not to be told apart says little: a row
    may be in one group with each of two rows that are told apart.

    Args:
        rows: the rows, the best one first. The letters begin with it.
        told_apart: pairs of different rows.

    Returns:
        Row -> its letters, in alphabetical order; None if the rows need more letters than there
        are.
    """
    groups = [frozenset(rows)]
    for one, other in told_apart:
        split = [group for group in groups if one in group and other in group]
        kept = [group for group in groups if group not in split]
        parts = {group - {name} for group in split for name in (one, other)}
        # A group inside another one says nothing more.
        kept += [
            part
            for part in parts
            if not any(part < group for group in (*kept, *parts)) and part not in kept
        ]
        if len(kept) > len(LETTERS):
            return None
        groups = kept
    order = {row: number for number, row in enumerate(rows)}
    groups.sort(key=lambda group: sorted(order[row] for row in group))
    return {
        row: "".join(letter for letter, group in zip(LETTERS, groups, strict=False) if row in group)
        for row in rows
    }


def detectable(standard_error: float, tests: int) -> float:
    """Return the difference that a two-sided test tells apart with a chance of ``POWER``.

    The smallest of several p-values must be at most ``LEVEL`` divided by their number (Holm's first
    step), so the difference grows with the number of tests.

    Args:
        standard_error: standard error of the difference.
        tests: number of tests of the table.
    """
    return float(norm.isf(LEVEL / (2 * tests)) + norm.ppf(POWER)) * standard_error
