"""Weigh the worst case of each row against the clean accuracy that it gave up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robench.records.rows import DefenseRow
from robench.records.statistics import Score


@dataclass(frozen=True)
class TradeOff:
    """Clean accuracy and worst case of one row, as means over its seeds in [0, 1].

    Attributes:
        row: label of the row.
        clean: clean accuracy.
        lost: clean accuracy of the row that has the most, minus ``clean``.
        worst: worst case.
        best_clean: label of the row with the highest clean accuracy.
        below: label of a row that is not lower in either number and higher in one; None without
            such a row. Among several, it is the one with the highest worst case.
    """

    row: str
    clean: float
    lost: float
    worst: float
    best_clean: str
    below: str | None


def weigh(rows: Iterable[DefenseRow]) -> list[TradeOff]:
    """Return the trade-off of every row that has both numbers, in the order of ``rows``.

    The list is empty for fewer than two such rows, because one row has nothing to compare with.
    """
    known = [
        (row.defense, row.clean.mean, row.worst.mean)
        for row in rows
        if isinstance(row.clean, Score) and isinstance(row.worst, Score)
    ]
    if len(known) < 2:
        return []
    best, most, _ = max(known, key=lambda each: each[1])
    return [
        TradeOff(row, clean, most - clean, worst, best, _row_above(clean, worst, known))
        for row, clean, worst in known
    ]


def _row_above(clean: float, worst: float, known: list[tuple[str, float, float]]) -> str | None:
    above = [
        each
        for each in known
        if each[1] >= clean and each[2] >= worst and (each[1] > clean or each[2] > worst)
    ]
    return max(above, key=lambda each: (each[2], each[1]))[0] if above else None
