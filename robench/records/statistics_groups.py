"""Rows that a test does not tell apart, and the smallest difference that it would tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isinf
from statistics import fmean
from string import ascii_lowercase, ascii_uppercase
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

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


def detectable(standard_errors: Sequence[float], freedom: Sequence[float]) -> float:
    """Return the difference that the test of a pair in the middle shows with a chance of ``POWER``.

    The test is two-sided Student's t, so its power is that of the noncentral t distribution; with
    endless degrees of freedom it is that of the normal one. The smallest of several p-values must
    be at most ``LEVEL`` divided by their number (Holm's first step), so the difference grows with
    the number of tests. The chance to find the wrong direction is left out: it is below 1e-5 where
    the power is 0.8.

    Args:
        standard_errors: standard error of the difference of each pair, above 0; at least one.
        freedom: degrees of freedom of the test of each pair, above 0; infinite for a test that
            estimates no variance between seeds.

    Returns:
        A difference, above 0. If the number of pairs is even, it is the mean of two.
    """
    errors, degrees = np.asarray(standard_errors), np.asarray(freedom)
    level = LEVEL / (2 * len(errors))
    limits = student.isf(level, degrees)
    # Which pair is in the middle: this sum is near the exact difference, and takes no search.
    order = np.argsort((limits + student.ppf(POWER, degrees)) * errors, kind="stable")
    middle = order[(len(order) - 1) // 2 : len(order) // 2 + 1]
    return fmean(errors[place] * _shown_at(limits[place], degrees[place]) for place in middle)


def _shown_at(limit: float, degrees: float) -> float:
    """Return the difference, in standard errors, that a test shows with a chance of ``POWER``."""
    near = float(limit + student.ppf(POWER, degrees))
    # So far away, SciPy's series do not converge, and no table tells anything apart.
    if isinf(degrees) or near > 2000:
        return near
    return float(
        brentq(lambda shift: nct.sf(limit, degrees, shift) - POWER, near / 2, 3 * near, rtol=1e-9)
    )
