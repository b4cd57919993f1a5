"""Accuracy under attack by queries and by changed words, as numbers for tables and frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from robench.records.curves import CURVES, Curve, CurveName
from robench.records.record import Record
from robench.records.statistics import BlockedCell, wilson

SHOWN: Final[dict[CurveName, tuple[int, ...]]] = {
    "queries": (10, 100, 1_000, 10_000, 100_000),
    "words": (1, 2, 3, 5, 10, 20, 50),
}
"""Name of a curve -> the points that tables show, as far as any record needs them."""

CURVE_TEXTS: Final[dict[CurveName, str]] = {
    "queries": """\
The accuracy under an attack that may ask the victim at most so many times for each example. These
are the same searches, stopped earlier: a run with that budget gives the same. With several seeds,
the numbers are means.""",
    "words": """\
The accuracy under an attack that may change at most so many words. It is an upper bound. A search
stops at the first text that fools the victim, and a text with fewer changes may exist. With several
seeds, the numbers are means.""",
}
"""Name of a curve -> what its table says."""


@dataclass(frozen=True)
class CurveRow:
    """The curve of one row under one attack, the mean over the seeds.

    Attributes:
        row: label of the row.
        attack: label of the attack.
        name: name of the curve.
        at_most: the shown points.
        accuracies: accuracy in [0, 1] at each of them.
        whole: accuracy without such a bound.
    """

    row: str
    attack: str
    name: CurveName
    at_most: tuple[int, ...]
    accuracies: tuple[float, ...]
    whole: float


def accuracy_at(record: Record, curve: Curve, cost: int) -> float:
    """Return the share of all n examples that stay right at ``cost``, in [0, 1].

    Raises:
        BlockedCell: an example ended in an error.
    """
    counts = record.counts
    if counts.error:
        raise BlockedCell(f"{counts.error} of {counts.n} examples ended in an error")
    return (counts.n - counts.wrong - curve.fooled_at(cost)) / counts.n


def curve_of(record: Record, name: CurveName) -> Curve | None:
    """Return a curve of a record; None where it was not measured, or an example has an error."""
    if record.curves is None or record.counts.error:
        return None
    return record.curves.named(name)


def whole_curves(
    records: Iterable[Record], name: CurveName
) -> dict[tuple[str, str], list[tuple[Record, Curve]]]:
    """Return (label of a row, label of an attack) -> the record and curve of each seed, sorted.

    Attacks that search for nothing are left out. A row under an attack is left out as a whole if
    a seed of the row has no curve there: a mean over fewer seeds is one of other victims.

    Args:
        records: records that share a table, with all attacks, which say what seeds a row has.
        name: name of the curve.
    """
    seeds: dict[str, set[int]] = {}
    found: dict[tuple[str, str], list[tuple[Record, Curve]]] = {}
    for record in records:
        seeds.setdefault(record.row, set()).add(record.search.seed)
        curve = curve_of(record, name)
        if record.attack.searches and curve is not None:
            found.setdefault((record.row, record.attack.label), []).append((record, curve))
    return {
        place: curves
        for place, curves in sorted(found.items())
        if {record.search.seed for record, _ in curves} == seeds[place[0]]
    }


def curve_rows(records: Iterable[Record], name: CurveName) -> list[CurveRow]:
    """Return the rows of a table of curves, sorted by row and attack (``whole_curves``)."""
    whole = whole_curves(records, name)
    shown = shown_points(name, [curve for curves in whole.values() for _, curve in curves])
    return [
        CurveRow(
            row,
            attack,
            name,
            shown,
            tuple(_mean(curves, point) for point in shown),
            _mean(curves, None),
        )
        for (row, attack), curves in whole.items()
    ]


def shown_points(name: CurveName, curves: Sequence[Curve]) -> tuple[int, ...]:
    """Return the points that a table shows: those below the highest cost of a fooled example."""
    highest = max((curve.at_most[-1] for curve in curves if curve.total), default=0)
    return tuple(point for point in SHOWN[name] if point < highest)


def _mean(curves: Sequence[tuple[Record, Curve]], point: int | None) -> float:
    """Return the mean accuracy at ``point``, or at any cost."""
    return fmean(
        accuracy_at(record, curve, curve.at_most[-1] if point is None else point)
        for record, curve in curves
    )


def curve_data(record: Record) -> list[dict[str, Any]]:
    """Return every point of the curves of a record as plain data; rates lie in [0, 1].

    Each point has the Wilson interval at its accuracy. The list is empty where nothing was
    measured.
    """
    points: list[dict[str, Any]] = []
    for name in CURVES:
        curve = curve_of(record, name)
        if curve is None or not record.attack.searches:
            continue
        for cost, fooled in zip(curve.at_most, curve.fooled, strict=True):
            accuracy = accuracy_at(record, curve, cost)
            low, high = wilson(accuracy, record.counts.n)
            points.append(
                {
                    "curve": name,
                    "at_most": cost,
                    "fooled": fooled,
                    "accuracy_under_attack": accuracy,
                    "under_low": low,
                    "under_high": high,
                }
            )
    return points
