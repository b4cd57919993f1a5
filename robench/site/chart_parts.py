"""Parts that several charts share. ``site.js`` makes each as wide as its place on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Any


def rounded(rate: float) -> float:
    """Return a rate in [0, 1] as percent with one decimal, as the tables show it."""
    return round(100 * rate, 1)


def percent_axis(field: str, title: str) -> dict[str, Any]:
    """Return a channel over the whole range of percent."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 100]},
    }


def quantity(field: str, title: str) -> dict[str, Any]:
    """Return a channel over the range of its values."""
    scale = {"zero": False, "nice": True, "padding": 25}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def percent_between(field: str, title: str, values: Iterable[float]) -> dict[str, Any]:
    """Return a channel over a part of the range of percent that holds ``values`` with some room."""
    known = list(values)
    least, most = min(known), max(known)
    room = max(1.0, 0.1 * (most - least))
    domain = [max(0, floor(least - room)), min(100, ceil(most + room))]
    scale = {"domain": domain, "nice": True}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def row_axis(field: str, order: Sequence[str]) -> dict[str, Any]:
    """Return the channel of rows in their order."""
    return {"field": field, "type": "nominal", "title": None, "sort": list(order)}


def colour(field: str) -> dict[str, Any]:
    """Return the channel of colours; the legend stands above the chart."""
    legend = {"orient": "top", "title": None}
    return {"field": field, "type": "nominal", "legend": legend}


def points_of(*fields: str) -> list[dict[str, str]]:
    """Return the channel of a tooltip with these fields."""
    return [{"field": field} for field in fields]
