"""Charts of trainings: how far they moved the weights, epoch by epoch (forgetting)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from robench._base.errors import RobenchError
from robench.figures.training import PANELS, epochs_of
from robench.records.marks import ABSENT
from robench.records.record_files import find_records
from robench.records.run_folder import TRAINING_LOG, RunFolder
from robench.records.shown_records import shown_records
from robench.site.chart_parts import colour, points_of, quantity, row_axis
from robench.site.charts import MOST_ROWS, Chart
from robench.site.geometry import HOW_TO as GEOMETRY_HOW_TO
from robench.site.geometry import geometry_charts
from robench.site.swept import HOW_TO as SWEPT_HOW_TO
from robench.site.swept import swept_charts
from robench.site.words import HowTo, victim_and_seed


@dataclass(frozen=True)
class TrainingPage:
    """What a page says about the trainings of runs.

    Attributes:
        rows: the last epoch of each training, as ``HEADINGS`` says.
        charts: the charts of Figures 2 and 3 of the RIFT paper, as far as the runs have the data.
        missing: what is not there, and how to get it.
        problems: sentences about what is left out.
        headings: the headings of ``rows``.
    """

    rows: Sequence[Sequence[str]]
    charts: Sequence[Chart]
    missing: Sequence[HowTo]
    problems: Sequence[str]
    headings: Sequence[str] = ()


def training_page(runs: Sequence[Path]) -> TrainingPage:
    """Return what the folders of runs say about trainings: forgetting, options, and geometry."""
    found, problems = _trainings(runs)
    trainings = training_charts(found)
    swept = swept_charts(runs)
    geometry, more = geometry_charts(runs)
    missing = [
        how_to
        for how_to, charts in ((SWEPT_HOW_TO, swept), (GEOMETRY_HOW_TO, geometry))
        if not charts and trainings
    ]
    charts = [*trainings, *swept, *geometry]
    return TrainingPage(_rows(found), charts, missing, [*problems, *more], HEADINGS)


HEADINGS: Final = ("victim", "seed", "epochs", *(title for _, title in PANELS))
"""Headings of the table of trainings."""
Trainings = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
"""Victim and seed -> the entries of its epochs."""


def _trainings(runs: Sequence[Path]) -> tuple[Trainings, list[str]]:
    """Return the trainings in the folders of runs, and sentences about what is left out."""
    logs: dict[str, list[dict[str, Any]]] = {}
    problems = []
    for run in runs:
        for log in sorted(RunFolder(run).victims.glob(f"*/{TRAINING_LOG}")):
            try:
                logs[log.parent.name] = epochs_of(log.parent)
            except RobenchError as error:
                problems.append(str(error))
    named = {folder: victim_and_seed(folder) for folder in logs}
    # A sweep trains a defense several times with one seed: the options tell the victims apart.
    # Only then are the records read.
    labels = _labels(runs) if len(set(named.values())) < len(named) else {}
    named = _told_apart(named, lambda folder: labels.get(folder, named[folder][0]))
    # If nothing else does, as without records, the name of the folder does.
    named = _told_apart(named, str)
    return {named[folder]: logs[folder] for folder in sorted(logs, key=named.__getitem__)}, problems


def _told_apart(
    named: Mapping[str, tuple[str, int]], name: Callable[[str], str]
) -> dict[str, tuple[str, int]]:
    """Return the folders' victims and seeds, with another name for those that share both."""
    often = Counter(named.values())
    return {
        folder: each if often[each] == 1 else (name(folder), each[1])
        for folder, each in named.items()
    }


def _labels(runs: Sequence[Path]) -> dict[str, str]:
    """Return folder of a victim -> its victim, with the label of its row: "rift(beta=1.0)-imdb"."""
    found = {}
    for folder in map(RunFolder, runs):
        for record in shown_records(find_records(folder.records).records).values():
            if record.defense is None:
                continue
            for log in folder.training_logs(record.victim.configuration):
                victim, _ = victim_and_seed(log.parent.name)
                rest = victim.removeprefix(record.defense.name)
                found[log.parent.name] = victim if rest == victim else record.row + rest
    return found


def training_charts(found: Trainings) -> list[Chart]:
    """Return charts of trainings."""
    charts = [_last_distances(found), *(_epochs(found, key, title) for key, title in PANELS)]
    return [each for each in charts if each is not None]


def _rows(found: Trainings) -> list[list[str]]:
    """Return the last epoch of each training, as text."""
    return [
        [victim, str(seed), str(epochs[-1]["epoch"]), *map(_number, _last(epochs))]
        for (victim, seed), epochs in found.items()
    ]


def _last(epochs: Sequence[Mapping[str, Any]]) -> list[float | None]:
    return [epochs[-1].get(key) for key, _ in PANELS]


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


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
        "height": 20 * len(rows),
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "size": 50},
        "encoding": {
            "y": row_axis("victim", rows),
            "x": {
                "field": "distance",
                "type": "quantitative",
                "title": "relative L2 distance to the pre-trained weights",
                "axis": {"tickCount": 6},
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
        "height": 240,
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "epoch",
                "type": "quantitative",
                "axis": {"tickMinStep": 1, "format": "d"},
            },
            # The heading says it, and it is too long for the side of a chart.
            "y": {**quantity("value", title), "title": None},
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
