"""Charts as data: specifications of Vega-Lite, which the bundled scripts draw.

Names of others are values of the data and never parts of an expression, so they run nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Final

from robench.records.curve_tables import accuracy_at, whole_curves
from robench.records.curves import CurveName
from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap
from robench.records.sandwich import Sandwich
from robench.records.statistics import Score, wilson
from robench.site.chart_parts import (
    colour,
    percent_axis,
    percent_between,
    points_of,
    rounded,
    row_axis,
)
from robench.site.tables import Table

MOST_ROWS: Final = 8
"""Rows whose curves fit one chart."""
MOST_LABELS: Final = 8
"""Points of a chart that all have their names beside them. With more, only some have."""


@dataclass(frozen=True)
class Chart:
    """A chart with its words.

    Attributes:
        id: its anchor.
        title: its heading.
        words: what it shows, for everybody; screen readers read it instead of the chart.
        spec: the specification of Vega-Lite.
        wide: whether it needs the whole width of a page.
    """

    id: str
    title: str
    words: str
    spec: Mapping[str, Any]
    wide: bool = False

    def under(self, place: str) -> Chart:
        """Return the chart with an anchor that begins with ``place``, for a page with several."""
        return replace(self, id=f"{place}-{self.id}")


def intervals(table: Table) -> Chart | None:
    """Return each row's clean accuracy and one other column, with their intervals."""
    values = [each for row in table.rows for each in _scores_of(row)]
    if not values:
        return None
    shown = [each["measure"] for each in values if each["measure"] != "clean accuracy"]
    measures = list(dict.fromkeys(shown))
    # The worst case is what the table is sorted by, so the chart begins with it.
    measures.sort(key=lambda each: each != "worst case")
    rows = list(dict.fromkeys(each["row"] for each in values))
    y = row_axis("row", rows)
    offset = {"field": "kind", "type": "nominal"}
    shapes = {"field": "kind", "type": "nominal"}
    tips = ["row", "measure", "accuracy", "low", "high"]
    spec = {
        "height": 30 * len(rows),
        "data": {"values": values},
        "params": [
            {
                "name": "shown",
                "value": measures[0] if measures else "",
                "bind": {"input": "select", "options": measures, "name": "Beside clean accuracy: "},
            }
        ],
        "transform": [{"filter": "datum.kind === 'clean' || datum.measure === shown"}],
        "encoding": {"y": y, "yOffset": offset, "color": colour("kind")},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": percent_axis("low", "accuracy, %"), "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {
                    "x": percent_axis("accuracy", "accuracy, %"),
                    "shape": shapes,
                    "tooltip": [{"field": name} for name in tips],
                },
            },
        ],
    }
    words = (
        "The points are means over the seeds. The lines are 95 % intervals. The table above has "
        "the same numbers."
    )
    return Chart("intervals", "Accuracy with intervals", words, spec, wide=True)


def _scores_of(row: DefenseRow) -> Iterable[dict[str, Any]]:
    named = {"clean accuracy": row.clean, **row.under, "worst case": row.worst}
    for measure, score in named.items():
        if isinstance(score, Score):
            low, high = score.interval
            yield {
                "row": row.defense,
                "measure": measure,
                "kind": "clean" if measure == "clean accuracy" else "under attack",
                "accuracy": rounded(score.mean),
                "low": rounded(low),
                "high": rounded(high),
            }


def _ends(values: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """Return the ends of the intervals of a score."""
    return [each[f"{name} {end}"] for each in values for end in ("low", "high")]


def _weighed(table: Table) -> Iterable[dict[str, Any]]:
    """Yield clean accuracy and worst case of each row that has both; none for a single row."""
    weighed = {each.row: each for each in table.trade_offs}
    for row in table.rows if weighed else ():
        if isinstance(row.clean, Gap) or isinstance(row.worst, Gap):
            continue
        above = weighed[row.defense].below
        (clean_low, clean_high), (low, high) = row.clean.interval, row.worst.interval
        named = above is None or len(weighed) <= MOST_LABELS
        yield {
            "row": row.defense,
            "name": row.defense if named else "",
            "kind": "no row is better in both" if above is None else "another row is better",
            "clean": rounded(row.clean.mean),
            "clean low": rounded(clean_low),
            "clean high": rounded(clean_high),
            "worst": rounded(row.worst.mean),
            "worst low": rounded(low),
            "worst high": rounded(high),
        }


def trade_off(table: Table) -> Chart | None:
    """Return worst case over clean accuracy, one point for each row (Figure 4)."""
    values = list(_weighed(table))
    if not values:
        return None
    x = percent_between("clean", "clean accuracy, %", _ends(values, "clean"))
    y = percent_between("worst", "worst case, %", _ends(values, "worst"))
    rule = {"type": "rule", "opacity": 0.45}
    tips = [{"field": name} for name in ("row", "clean", "worst", "kind")]
    spec = {
        "height": 320,
        "data": {"values": values},
        "encoding": {"color": colour("kind")},
        "layer": [
            {
                "mark": rule,
                "encoding": {
                    "x": {**x, "field": "clean low"},
                    "x2": {"field": "clean high"},
                    "y": y,
                },
            },
            {
                "mark": rule,
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "worst low"},
                    "y2": {"field": "worst high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {
                    "x": x,
                    "y": y,
                    "shape": {"field": "kind", "type": "nominal"},
                    "tooltip": tips,
                },
            },
            {
                "mark": {"type": "text", "dy": -12, "limit": 190},
                "encoding": {"x": x, "y": y, "text": {"field": "name", "type": "nominal"}},
            },
        ],
    }
    words = (
        "Each point is a row, and the axes show a part of the range. A row further right is more "
        "accurate without an attack, and a row further up is more robust. The lines are 95 % "
        "intervals."
    )
    return Chart("trade-off", "Clean accuracy and worst case", words, spec)


CURVE_WORDS: Final[Mapping[CurveName, tuple[str, str, str]]] = {
    "queries": (
        "Accuracy against queries",
        "queries for each example, at most",
        "What is left when each search may ask the victim at most so many times.",
    ),
    "words": (
        "Accuracy against changed words",
        "changed words, at most",
        "What is left when each search may change at most so many words. It is an upper bound.",
    ),
}
"""Name of a curve -> title, name of its axis, and what it shows."""


def curves(
    records: Sequence[Record], name: CurveName, by: str, attack: str | None = None
) -> Chart | None:
    """Return the curves of records, one line for each row or each attack.

    Args:
        records: records of one row, or of several, with all attacks.
        name: the cost on the axis.
        by: what tells the lines apart: ``"attack"`` or ``"row"``.
        attack: the only attack that is shown; None: all.
    """
    lines = {
        row if by == "row" else label: found
        for (row, label), found in whole_curves(records, name).items()
        if attack in (None, label)
    }
    points = sorted({at for line in lines.values() for _, curve in line for at in curve.at_most})
    if points and name == "words":
        points.insert(0, 0)  # without a changed word, the accuracy is the clean one
    values = [
        {by: line, "at most": point, "accuracy": accuracy}
        for line, es in lines.items()
        for point, accuracy in _steps(
            [(point, rounded(fmean(accuracy_at(*e, point) for e in es))) for point in points]
        )
    ]
    if not values:
        return None
    title, axis, words = CURVE_WORDS[name]
    scale = {"type": "log"} if name == "queries" else {"zero": True}
    ticks = {} if name == "queries" else {"axis": {"tickMinStep": 1, "format": "d"}}
    x = {"field": "at most", "type": "quantitative", "title": axis, "scale": scale, **ticks}
    line_style = {"field": by, "type": "nominal"}
    spec = {
        "height": 240,
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": "step-after", "point": {"size": 18}},
        "encoding": {
            "x": x,
            "y": percent_axis("accuracy", "accuracy under attack, %"),
            "color": colour(by),
            "strokeDash": line_style,
            "tooltip": points_of(by, "at most", "accuracy"),
        },
    }
    more = " The lines are means over the seeds." if _has_seeds(lines) else ""
    return Chart(f"{name}-by-{by}", title, words + more, spec)


def _steps(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the points at which a curve of steps changes, and its two ends."""
    last = len(points) - 1
    return [
        point
        for place, point in enumerate(points)
        if place in (0, last) or point[1] != points[place - 1][1]
    ]


def _has_seeds(lines: Mapping[str, Sequence[object]]) -> bool:
    return any(len(line) > 1 for line in lines.values())


def certified(sandwiches: Sequence[Sandwich]) -> Chart | None:
    """Return certified, exact, attacked and clean accuracy of each certificate, as intervals."""
    values: list[dict[str, Any]] = []
    for each in sandwiches:
        certificate = each.certificate
        space = "language model" if certificate.space.constrained else "all substitutes"
        smoothed = " + smoothing" if certificate.smoothed else ""
        row = f"{certificate.row}{smoothed}, seed {certificate.seed}, {certificate.method}, {space}"
        low, high = wilson(each.certified / each.n, each.n)
        found = [("certified, 95 % interval", low, high, each.certified / each.n)]
        if each.exact is not None:
            least, most = (number / each.n for number in each.exact)
            found.append(("exact: at least and at most", least, most, (least + most) / 2))
        if each.attacked is not None:
            under = each.attacked / each.n
            found.append(("under attack", under, under, under))
        right = each.clean / each.n
        found.append(("clean", right, right, right))
        values += [
            {"row": row, "what": what, **_interval(low, high, middle)}
            for what, low, high, middle in found
        ]
    if not values:
        return None
    rows = list(dict.fromkeys(each["row"] for each in values))
    order = list(dict.fromkeys(each["what"] for each in values))
    spec = {
        "height": 14 * len(rows) * len(order),
        "data": {"values": values},
        "encoding": {
            "y": row_axis("row", rows),
            "yOffset": {"field": "what", "sort": order},
            "color": {**colour("what"), "sort": order},
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 4},
                "encoding": {"x": percent_axis("low", "accuracy, %"), "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 40},
                "encoding": {
                    "x": percent_axis("middle", "accuracy, %"),
                    "shape": {"field": "what", "type": "nominal", "sort": order},
                    "tooltip": points_of("row", "what", "low", "high"),
                },
            },
        ],
    }
    words = (
        "Certified accuracy is at most the exact robustness, that is at most the accuracy under "
        "attack, and that is at most the clean accuracy. The exact robustness lies in its interval."
    )
    return Chart("certified", "Certified beside attacked", words, spec, wide=True)


def _interval(low: float, high: float, middle: float) -> dict[str, float]:
    return {"low": rounded(low), "high": rounded(high), "middle": rounded(middle)}
