"""Curves of a record: how many examples an attack had fooled at smaller costs.

The costs are queries and changed words. One search gives the whole curve, because every trial says
after how many queries the victim was fooled, and which words were changed.

A search with a budget stops, and does nothing else. So the curve over queries is exact: a run with
that budget gives the same. The curve over words is an upper bound of the accuracy. An attack stops
at the first text that fools the victim, and a text with fewer changes may exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Final, Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from robench.records.part import RecordPart

CurveName = Literal["queries", "words"]

CURVES: Final[tuple[CurveName, ...]] = ("queries", "words")
"""Names of the curves, in the order in which they are shown."""


class Curve(RecordPart):
    """Number of fooled examples by what they cost the attack.

    Attributes:
        at_most: costs, ascending. The last one is enough for every fooled example.
        fooled: number of examples that were fooled at each cost or below, as many as ``at_most``.
    """

    at_most: tuple[PositiveInt, ...]
    fooled: tuple[NonNegativeInt, ...]

    @model_validator(mode="after")
    def _values_ascend(self) -> Curve:
        if len(self.at_most) != len(self.fooled) or not self.at_most:
            raise ValueError("a curve needs as many costs as numbers of examples, and at least one")
        if list(self.at_most) != sorted(set(self.at_most)):
            raise ValueError("the costs of a curve must ascend")
        if list(self.fooled) != sorted(self.fooled):
            raise ValueError("a larger cost cannot fool fewer examples")
        return self

    @property
    def total(self) -> int:
        """Number of fooled examples at any cost."""
        return self.fooled[-1]

    def fooled_at(self, cost: int) -> int:
        """Return how many examples were fooled at ``cost`` or below.

        Between two points this is the number at the lower one.
        """
        known = [fooled for at, fooled in zip(self.at_most, self.fooled, strict=True) if at <= cost]
        return known[-1] if known else 0


class CurvesPart(RecordPart):
    """The curves of a record. A curve is None where its cost was not measured.

    Attributes:
        queries: fooled examples by the queries of their search.
        words: fooled examples by the words that were changed, inserted or removed.
    """

    queries: Curve | None = None
    words: Curve | None = None

    def named(self, name: CurveName) -> Curve | None:
        """Return a curve by its name."""
        return self.queries if name == "queries" else self.words

    def check_total(self, fooled: int) -> None:
        """Raise ValueError unless every curve ends at ``fooled`` examples."""
        for name in CURVES:
            curve = self.named(name)
            if curve is not None and curve.total != fooled:
                raise ValueError(
                    f"the curve over {name} ends at {curve.total} fooled examples, and {fooled} "
                    "were fooled"
                )


def query_points() -> Iterator[int]:
    """Yield the points of a curve over queries without end: 1, 2, 5, 10, 20, 50, …"""
    return (step * 10**power for power in count() for step in (1, 2, 5))


def word_points() -> Iterator[int]:
    """Yield the points of a curve over words without end: each number to 10, then 20, 50, 100, …"""
    return chain(range(1, 10), (point for point in query_points() if point >= 10))


def draw_curve(costs: Sequence[int], points: Iterable[int]) -> Curve:
    """Return the curve of fooled examples.

    Args:
        costs: what each fooled example cost the attack. A cost of 0 counts as 1.
        points: ascending costs to choose from. The curve ends at the first one that is enough.
    """
    most = max(costs, default=1)
    chosen: list[int] = []
    for point in points:
        chosen.append(point)
        if point >= most:
            break
    fooled = [sum(cost <= point for cost in costs) for point in chosen]
    return Curve(at_most=tuple(chosen), fooled=tuple(fooled))
