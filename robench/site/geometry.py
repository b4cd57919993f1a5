"""Charts of the geometry of features (Figure 3 of the RIFT paper), from the points of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import atan2, tau
from pathlib import Path
from typing import Any, Final

from robench._base.errors import RobenchError
from robench.figures.geometry_points import (
    FILE_NAME,
    MAKES_IT,
    GeometryPoints,
    Points,
    VictimPoints,
    read_points,
)
from robench.site.chart_parts import colour
from robench.site.charts import Chart
from robench.site.words import HowTo, victim_and_seed

HEIGHT: Final = 300
SIDE: Final = 280
"""Width and height of the circles, in pixels; they fit a phone."""
HOW_TO: Final = HowTo(
    "The geometry of the features (Figure 3 of the RIFT paper) needs the victims themselves. This "
    "command computes its points. After that, make this page again.",
    MAKES_IT,
)
"""What a page says where there are no points."""


def geometry_charts(runs: Sequence[Path]) -> tuple[list[Chart], list[str]]:
    """Return charts of the points in the folders of runs, and sentences about what is left out.

    Args:
        runs: folders that ``robench evaluate`` wrote. A folder without points has no chart.
    """
    charts: list[Chart] = []
    problems = []
    for number, run in enumerate(runs):
        if not (run / FILE_NAME).exists():
            continue
        try:
            points = read_points(run / FILE_NAME)
        except RobenchError as error:
            problems.append(str(error))
            continue
        place = "geometry" if number == 0 else f"geometry-{number + 1}"
        charts += [each.under(place) for each in _charts(points)]
    return charts, problems


def _charts(points: GeometryPoints) -> Iterable[Chart]:
    texts = f"{len(points.labels)} texts of {points.task} ({points.split})"
    by_class = (
        f"Each point is one of {texts}. t-SNE put texts with similar features next to each other. "
        "Only neighbours count: the axes have no meaning, and distances between groups have none."
    )
    yield Chart(
        "before",
        f"Features of {points.encoder} before fine-tuning",
        by_class,
        _spec(_values(points, points.before)),
    )
    for number, victim in enumerate(points.victims):
        name, seed = victim_and_seed(victim.name)
        yield Chart(
            f"after-{number}",
            f"Features of {name}, seed {seed}",
            by_class,
            _spec(_values(points, victim.after)),
        )
        yield Chart(
            f"circles-{number}",
            f"The order of the texts after {name}, seed {seed}",
            f"The same {texts}: before fine-tuning inside, after it outside. The colour of a text "
            "is its place on the inner circle, and it has the same colour outside. Where the outer "
            "circle has the same order of colours, the order of the texts survived. The paper "
            "shows projections that a victim does not keep; these are the features themselves.",
            _circles(points, victim),
        )


def _values(points: GeometryPoints, places: Points) -> list[dict[str, Any]]:
    return [
        {"x": x, "y": y, "class": points.classes[label]}
        for (x, y), label in zip(places, points.labels, strict=True)
    ]


def _axis(field: str) -> dict[str, Any]:
    """Return a channel without ticks, because places of t-SNE have no unit."""
    scale = {"zero": False, "nice": False, "padding": 8}
    return {"field": field, "type": "quantitative", "axis": None, "scale": scale}


def _spec(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.75},
        "encoding": {
            "x": _axis("x"),
            "y": _axis("y"),
            "color": colour("class"),
            "shape": {"field": "class", "type": "nominal"},
            "tooltip": [{"field": "class"}],
        },
    }


def _circles(points: GeometryPoints, victim: VictimPoints) -> dict[str, Any]:
    """Return both circles; the colour of a text is its angle on the inner one."""
    hues = [round(atan2(y, x) / tau % 1, 3) for x, y in victim.inner]
    values = [
        {**value, "hue": hue, "when": when}
        for when, places in (("after", victim.outer), ("before", victim.inner))
        for value, hue in zip(_values(points, places), hues, strict=True)
    ]
    spec = _spec(values)
    hue = {
        "field": "hue",
        "type": "quantitative",
        "scale": {"scheme": "sinebow", "domain": [0, 1]},
        "legend": None,
    }
    shape = {"field": "class", "type": "nominal", "legend": {"orient": "top", "title": None}}
    tips = [{"field": "when"}, {"field": "class"}]
    # A circle stays one only in a square.
    return {
        **spec,
        "width": SIDE,
        "height": SIDE,
        "autosize": "pad",
        "encoding": {**spec["encoding"], "color": hue, "shape": shape, "tooltip": tips},
    }
