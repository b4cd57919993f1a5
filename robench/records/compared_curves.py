"""The curves of two rows side by side: accuracy under attack by queries and by changed words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from robench.records.curve_tables import accuracy_at, curve_of, shown_points
from robench.records.curves import CURVES, Curve, CurveName
from robench.records.record import Record


@dataclass(frozen=True)
class ComparedCurve:
    """The curves of two rows under one attack, the means over the compared seeds.

    Attributes:
        attack: label of the attack.
        name: name of the curve.
        at_most: the costs that are shown.
        first: accuracy of the first row at each of them, in [0, 1].
        second: accuracy of the second row.
    """

    attack: str
    name: CurveName
    at_most: tuple[int, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]


def compare_curves(attack: str, pairs: Sequence[tuple[Record, Record]]) -> list[ComparedCurve]:
    """Return the curves of two rows under one attack.

    Args:
        attack: label of the attack.
        pairs: one pair of records for each seed. Where two records judge different examples, or
            one has no curve, there is nothing to compare.
    """
    if any(first.ids_digest != second.ids_digest for first, second in pairs):
        return []
    found: list[ComparedCurve] = []
    for name in CURVES:
        ours, theirs = (_known([pair[side] for pair in pairs], name) for side in (0, 1))
        if len(ours) != len(pairs) or len(theirs) != len(pairs):
            continue
        shown = shown_points(name, [curve for _, curve in (*ours, *theirs)])
        if shown:
            found.append(
                ComparedCurve(attack, name, shown, _means(ours, shown), _means(theirs, shown))
            )
    return found


def _known(records: Sequence[Record], name: CurveName) -> list[tuple[Record, Curve]]:
    curves = [(record, curve_of(record, name)) for record in records]
    return [(record, curve) for record, curve in curves if curve is not None]


def _means(curves: Sequence[tuple[Record, Curve]], shown: Sequence[int]) -> tuple[float, ...]:
    return tuple(
        fmean(accuracy_at(record, curve, point) for record, curve in curves) for point in shown
    )
