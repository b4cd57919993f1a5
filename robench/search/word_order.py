"""Search word by word in a given order, as TextFooler, BERT-Attack and A2T do.

The attacks differ in what makes a word important. What they do in that order is the same, so it
is here. So is the descent of ``greedy`` and ``convex-hull``, which differ in where it starts.

No comparison depends on the scale of the logits. All numbers are divided by a unit that has the
same scale, and are then rounded. So numbers that differ by rounding errors alone are equal, and
the first of equals wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import log_odds
from robench.search.moves import Choices, find_misclassified, with_each_change
from robench.search.oracle_interface import Oracle
from robench.text.space import Choice, SearchSpace

DIGITS = 6
"""Digits after the point that are kept of a number in its unit.

Logits are fp32 and have about seven.
"""


def without_scale(
    values: NDArray[np.floating[Any]], unit: float | None = None
) -> NDArray[np.float64]:
    """Divide ``values`` by a unit of the same scale, and round them.

    Args:
        values: numbers that are multiplied by s if the logits are, ``(n,)``.
        unit: a positive number of the same scale; the largest magnitude among the values unless
            given. If it is 0, all values are 0.

    Returns:
        Numbers that stay the same if the logits are multiplied by a positive factor, ``(n,)``.
    """
    exact = np.asarray(values, dtype=np.float64)
    if unit is None:
        unit = float(np.abs(exact).max(initial=0.0))
    return np.asarray(np.round(exact / unit, DIGITS)) if unit > 0 else np.zeros_like(exact)


def largest_first(values: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Return the indices of ``values`` in descending order, whatever their scale.

    Of values that differ by rounding errors alone, the one that comes first is first.
    """
    return np.argsort(-without_scale(values), kind="stable")


def change_in_order(
    space: SearchSpace, oracle: Oracle, label: int, positions: Iterable[int], clean: float
) -> Choice | None:
    """Change one position after another; return the first text that fools the victim.

    At each position all substitutes are queried together, with the other words as they stand by
    then. If some of them fool the victim, the first one in the order of the substitution set is
    returned. Otherwise the substitute with the least log-odds of the label is kept, if it lowers
    the log-odds of the current text.

    Args:
        label: the true class; the victim is right on the original text.
        positions: substitutable positions, the first one first.
        clean: log-odds of the label in the original text.

    Returns:
        The text found; None if no position brought one.
    """
    current, reached = space.original(), clean
    for position in positions:
        options = np.arange(1, space.sizes[position], dtype=np.int16)
        choices, odds, found = _try_options(oracle, current, position, options, label)
        if found is not None:
            return found
        # Nothing here fools the victim, so no log-odds are negative; the largest is the unit.
        unit = max(reached, float(odds.max()))
        best = int(without_scale(odds, unit).argmin())
        if without_scale(odds, unit)[best] < without_scale(np.array([reached]), unit)[0]:
            current, reached = choices[best], float(odds[best])
    return None


def descend(
    space: SearchSpace, oracle: Oracle, label: int, start: Choice, positions: Sequence[int]
) -> Choice | None:
    """Change one position after another until no single change lowers the log-odds.

    At each position all options are queried together, the present one included, with the other
    words as they stand by then. The option with the least log-odds of the label is kept. The
    search passes over the positions again and again, and ends when as many in a row stayed
    unchanged as there are.

    Args:
        label: the true class; the victim is right on the text of ``start``.
        start: the choice to begin with.
        positions: substitutable positions, the first one first.

    Returns:
        The first text that fools the victim; None if none does.
    """
    current, unchanged = start, 0
    while unchanged < len(positions):
        for position in positions:
            options = np.arange(space.sizes[position], dtype=np.int16)
            choices, odds, found = _try_options(oracle, current, position, options, label)
            if found is not None:
                return found
            odds = without_scale(odds)
            best = int(odds.argmin())
            if odds[best] < odds[current[position]]:
                current, unchanged = choices[best], 0
            else:
                unchanged += 1
            if unchanged == len(positions):
                break
    return None


def _try_options(
    oracle: Oracle, current: Choice, position: int, options: NDArray[np.int16], label: int
) -> tuple[Choices, NDArray[np.float64], Choice | None]:
    """Query the options ``(n,)`` of one position together.

    Returns:
        The choices ``(n, words)``, the log-odds of the label ``(n,)``, and the first choice that
        fools the victim, if one does.
    """
    choices = with_each_change(current, np.full(len(options), position), options)
    logits = oracle.logits(choices)
    return choices, log_odds(logits, label), find_misclassified(choices, logits, label)
