"""Charts of runs in which an option of a defense has several values (Figure 2b of the paper)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from robench.evaluation.sweep import last_distance
from robench.records.rates import rates
from robench.records.record import PluginPart, Record
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.shown_records import shown_records
from robench.site.chart_parts import (
    colour,
    percent_axis,
    points_of,
    quantity,
    rounded,
)
from robench.site.charts import Chart
from robench.site.tables import slug
from robench.site.words import HowTo

CLEAN: Final = "clean accuracy"
"""Name of the line of the clean accuracy."""
HOW_TO: Final = HowTo(
    "How accuracy and distance follow from an option such as beta (Figures 2b and 4 of the RIFT "
    "paper) needs a run with several values of it. This command makes one:",
    "robench sweep --defense rift --attack genetic --option defense.beta=1,5,10,20",
)
"""What a page says where no option has several values."""

Rows = Sequence[tuple[Any, Record]]
"""Value of the option, and a record with this value."""


def swept_charts(runs: Sequence[Path]) -> list[Chart]:
    """Return charts of accuracy and distance by each option that has several values in a run.

    Rows are compared only if all their other options and settings are equal. Records with errors
    have no accuracy and are left out.

    Args:
        runs: folders that ``robench evaluate`` or ``robench sweep`` wrote.
    """
    charts: list[Chart] = []
    for run in runs:
        folder = RunFolder(run)
        records = shown_records(find_records(folder.records).records).values()
        for (defense, option), rows in _swept(records).items():
            found = [_accuracies(defense, option, rows), _distances(folder, defense, option, rows)]
            charts += [each for each in found if each is not None]
    # Two runs may sweep the same option, and an anchor stands once on a page.
    return [each.under(f"swept-{number}") for number, each in enumerate(charts, 1)]


def _swept(records: Iterable[Record]) -> dict[tuple[str, str], Rows]:
    """Return (defense, option) -> the largest group of records that differ in this option only."""
    groups: dict[tuple[str, str], dict[str, list[tuple[Any, Record]]]] = {}
    for record in records:
        if record.defense is None or record.counts.error:
            continue
        for option, value in record.defense.options.items():
            same = groups.setdefault((record.defense.name, option), {})
            same.setdefault(_others(record, record.defense, option), []).append((value, record))
    found: dict[tuple[str, str], Rows] = {}
    for key, same in sorted(groups.items()):
        rows = max(same.values(), key=lambda rows: len({_text(value) for value, _ in rows}))
        if len({_text(value) for value, _ in rows}) > 1:
            found[key] = rows
    return found


def _others(record: Record, defense: PluginPart, option: str) -> str:
    """Return everything that must be equal, as text."""
    options = {name: value for name, value in defense.options.items() if name != option}
    encoder = None if record.encoder is None else record.encoder.sha256
    setting = [record.task.file_part, record.task.digest, record.limit, record.search.budget]
    code = [record.protocol.name, encoder, record.victim.precision, record.surface.table_key]
    return json.dumps([options, *setting, *code], sort_keys=True)


def _text(value: Any) -> str:
    return json.dumps(value)


def _axis(option: str, rows: Rows) -> dict[str, Any]:
    """Return the channel of the option: a number at its value, other values at equal intervals."""
    values = [value for value, _ in rows]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
    kind = {"type": "quantitative"} if numbers else {"type": "nominal", "sort": None}
    return {"field": "value", "title": option, **kind}


def _shown(value: Any) -> Any:
    """Return a value as data: a number stays one, anything else is a text."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or isinstance(value, str) else _text(value)


def _means(points: Iterable[tuple[Any, str, float]]) -> list[tuple[Any, str, float]]:
    """Return the mean of the numbers of each value and line, in the order of the values."""
    found: dict[tuple[str, str], list[float]] = {}
    values: dict[str, Any] = {}
    for value, line, number in points:
        values[_text(value)] = value
        found.setdefault((_text(value), line), []).append(number)
    order = _ordered(values)
    return [
        (values[value], line, fmean(found[value, line]))
        for value in order
        for line in dict.fromkeys(name for _, name in found)
        if (value, line) in found
    ]


def _ordered(values: Mapping[str, Any]) -> list[str]:
    try:
        return sorted(values, key=lambda text: values[text])
    except TypeError:
        return sorted(values)


def _accuracies(defense: str, option: str, rows: Rows) -> Chart | None:
    points = []
    for value, record in rows:
        found = rates(record)
        under = {CLEAN: found["clean_accuracy"]}
        if record.attack.searches:
            under[record.attack.label] = found["accuracy_under_attack"]
        points += [(value, line, rate) for line, rate in under.items() if rate is not None]
    values = [
        {"value": _shown(value), "line": line, "accuracy": rounded(mean)}
        for value, line, mean in _means(points)
    ]
    spec = {
        "height": 240,
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _axis(option, rows),
            "y": percent_axis("accuracy", "accuracy, %"),
            "color": colour("line"),
            "strokeDash": {"field": "line", "type": "nominal"},
            "tooltip": points_of("value", "line", "accuracy"),
        },
    }
    words = (
        f"One point for each value of {option} of {defense}: the mean over the seeds that have it. "
        "All other options are equal."
    )
    title = f"{defense}: accuracy by {option}"
    return Chart(f"accuracy-{slug(f'{defense} {option}')}", title, words, spec)


def _distances(folder: RunFolder, defense: str, option: str, rows: Rows) -> Chart | None:
    victims = {record.victim.sha256: (value, record) for value, record in rows}
    known = [(v, "", last_distance(folder, record)) for v, record in victims.values()]
    found = [(value, line, number) for value, line, number in known if number is not None]
    values = [
        {"value": _shown(value), "distance": round(mean, 4)} for value, _, mean in _means(found)
    ]
    if len(values) < 2:
        return None
    title = "relative L2 distance to the pre-trained weights"
    spec = {
        "height": 240,
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": _axis(option, rows),
            "y": quantity("distance", title),
            "tooltip": points_of("value", "distance"),
        },
    }
    words = (
        f"How far the training moved the weights, for each value of {option} of {defense}: after "
        "the last epoch, the mean over the seeds."
    )
    heading = f"{defense}: distance by {option}"
    return Chart(f"distance-{slug(f'{defense} {option}')}", heading, words, spec)
