"""Charts of trainings: how far they moved the weights, epoch by epoch (forgetting)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from robench._base.errors import RobenchError
from robench.figures.training import PANELS, epochs_of
from robench.records.run_folder import TRAINING_LOG, RunFolder
from robench.site.chart_parts import RESPONSIVE, colour, points_of, quantity, row_axis
from robench.site.charts import MOST_ROWS, Chart

_NAME: Final = re.compile(r"(?P<victim>.+)-s(?P<seed>\d+)-[0-9a-f]{8}")

Trainings = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
"""Victim and seed -> the entries of its epochs."""


def training_charts(runs: Sequence[Path]) -> tuple[list[Chart], list[str]]:
    """Return charts of the trainings in the folders of runs, and sentences about what is left out.

    Args:
        runs: folders that ``robench evaluate`` wrote.
    """
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    problems = []
    for run in runs:
        for log in sorted(RunFolder(run).victims.glob(f"*/{TRAINING_LOG}")):
            try:
                found[_name_of(log.parent)] = epochs_of(log.parent)
            except RobenchError as error:
                problems.append(str(error))
    found = dict(sorted(found.items()))
    charts = [_last_distances(found), *(_epochs(found, key, title) for key, title in PANELS)]
    return [each for each in charts if each is not None], problems


def _name_of(folder: Path) -> tuple[str, int]:
    """Return the victim and its seed, as the name of its folder says them."""
    match = _NAME.fullmatch(folder.name)
    return (match["victim"], int(match["seed"])) if match else (folder.name, 0)


def _last_distances(found: Trainings) -> Chart | None:
    values = []
    for (victim, seed), epochs in found.items():
        known = [entry for entry in epochs if entry.get("distance") is not None]
        if known:
            last = round(float(known[-1]["distance"]), 4)
            values.append({"victim": victim, "seed": seed, "distance": last})
    if not values:
        return None
    rows = list(dict.fromkeys(str(each["victim"]) for each in values))
    spec = {
        **RESPONSIVE,
        "height": 20 * len(rows),
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "size": 50},
        "encoding": {
            "y": row_axis("victim", rows),
            "x": {
                "field": "distance",
                "type": "quantitative",
                "title": "relative L2 distance to the pre-trained weights",
            },
            "tooltip": points_of("victim", "seed", "distance"),
        },
    }
    words = "The distance after the last epoch, one point for each training."
    return Chart("last-distance", "Distance after the last epoch", words, spec, wide=True)


def _epochs(found: Trainings, key: str, title: str) -> Chart | None:
    """Return one value over the epochs, a line for each victim with its lowest seed."""
    lines: dict[str, Sequence[Mapping[str, Any]]] = {}
    for (victim, _), epochs in found.items():
        if any(entry.get(key) is not None for entry in epochs):
            lines.setdefault(victim, epochs)
    shown = dict(list(lines.items())[:MOST_ROWS])
    values = [
        {"victim": victim, "epoch": entry["epoch"], "value": round(float(entry[key]), 4)}
        for victim, epochs in shown.items()
        for entry in epochs
        if entry.get(key) is not None
    ]
    if not values:
        return None
    spec = {
        **RESPONSIVE,
        "height": 240,
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "epoch",
                "type": "quantitative",
                "axis": {"tickMinStep": 1, "format": "d"},
            },
            "y": quantity("value", title),
            "color": colour("victim"),
            "strokeDash": {"field": "victim", "type": "nominal"},
            "tooltip": points_of("victim", "epoch", "value"),
        },
    }
    words = "One line for each victim, with its lowest seed."
    if len(lines) > len(shown):
        words += f" The chart shows {len(shown)} of {len(lines)} victims, in the order of names."
    heading = title[:1].upper() + title[1:]
    return Chart(f"epochs-{key.replace('_', '-')}", heading, words, spec)
