"""An ablation: the same evaluation at every value of some options, as one table (the RIFT paper's Table 4) and one figure (Figures 2b and 4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

from robench._base.errors import RobenchError, UsageError
from robench._base.reporting import Reporter
from robench.evaluation.failures import Attempts
from robench.evaluation.plan import EvaluationRequest
from robench.results.notes import MEANINGS, conditions, synthetic_notice
from robench.results.record import Record
from robench.results.render import ABSENT, score_text, tabulated
from robench.results.rows import DefenseRow, build_rows

SEPARATOR = ","


@dataclass(frozen=True)
class Point:
    """One value of each swept option, and the evaluation with them.

    Attributes:
        values: ``{"defense.alpha": "0.05"}``.
    """

    values: Mapping[str, str]
    request: EvaluationRequest


@dataclass(frozen=True)
class SweepRow:
    """One defense at one point.

    Attributes:
        attacks: name of each attack -> its label there, which an attack's swept option changes.
        scores: the scores, under the labels.
        distances: from the pre-trained weights after the last epoch, one a seed; fewer where a training's log does not say.
    """

    defense: str
    values: Mapping[str, str]
    attacks: Mapping[str, str]
    scores: DefenseRow
    distances: tuple[float, ...]


def points(
    options: Mapping[str, str], request: Callable[[Mapping[str, str]], EvaluationRequest]
) -> list[Point]:
    """Every combination of the values of those options that have several: ``{"defense.alpha": "0,0.1"}`` makes two.

    Args:
        request: makes the evaluation of one combination from all options.

    Raises:
        UsageError: no option has several values, one is empty or stands twice, or the evaluation is not about one task.
    """
    swept = {name: _values(name, text) for name, text in options.items() if SEPARATOR in text}
    if not swept:
        raise UsageError(
            "There is nothing to sweep: give an option several values, such as --option defense.alpha=0,0.05,0.1."
        )
    made = [dict(zip(swept, values, strict=True)) for values in product(*swept.values())]
    found = [Point(values, request({**options, **values})) for values in made]
    tasks = found[0].request.tasks
    if len(tasks) != 1 or tasks[0] == "all":
        raise UsageError(
            f"A sweep is about one task, not {' and '.join(tasks)}. Sweep each by itself."
        )
    if not found[0].request.attacks:
        raise UsageError("A sweep needs an attack. Name one with --attack.")
    return found


def _values(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(SEPARATOR)]
    if "" in values or len(set(values)) < len(values):
        raise UsageError(
            f"--option {name}={text}: a sweep takes several values, none empty and none twice."
        )
    return values


def sweep(found: Sequence[Point], report: Reporter) -> tuple[list[SweepRow], list[Record]]:
    """Evaluate every point, after all of them have been checked; what is finished is never done again.

    Returns:
        Rows, defense by defense and in the order of the points, and all records.

    Raises:
        UsageError: a point cannot be evaluated as it was put; nothing was trained.
        Incomplete: some points, or parts of them, failed; it holds rows and records as they are returned otherwise, with gaps.
        RobenchError: the disk is full.
    """
    from robench.evaluation.run import evaluate, plan

    for point in found:
        plan(point.request)  # a wrong value is better known now than after the trainings before it
    attempts = Attempts(report)
    made = [
        attempts.several(_text(point), partial(evaluate, point.request, report)) for point in found
    ]
    records = [record for of_point in made for record in of_point]
    defenses, attacks = (
        list(dict.fromkeys(names))
        for names in (
            [record.defense.name for record in records],
            [record.attack.name for record in records],
        )
    )
    rows = [
        row
        for point, of_point in zip(found, made, strict=True)
        for row in rows_at(point, of_point, defenses, attacks)
    ]
    swept = sorted(rows, key=lambda row: defenses.index(row.defense)), records
    attempts.finish(swept)
    return swept


def _text(point: Point) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.values.items())


def rows_at(
    point: Point,
    records: Sequence[Record],
    defenses: Sequence[str] = (),
    attacks: Sequence[str] = (),
) -> list[SweepRow]:
    """One row a defense from the records of one point.

    Args:
        defenses, attacks: names that have a row and a column even where the point has no record of them.
    """
    labels = {name: name for name in attacks} | {
        record.attack.name: record.attack.label for record in records
    }
    rows = []
    for name in dict.fromkeys([*defenses, *(record.defense.name for record in records)]):
        own = [record for record in records if record.defense.name == name]
        (row,) = build_rows(own, list(labels.values()), () if own else (name,))
        seeds = {record.search.seed: record for record in own}
        distances = [
            distance
            for record in seeds.values()
            if (distance := last_distance(point.request.out, record)) is not None
        ]
        rows.append(SweepRow(name, point.values, labels, row, tuple(distances)))
    return rows


def last_distance(out: Path, record: Record) -> float | None:
    """Distance of a record's victim from the pre-trained weights after its last epoch; None where its log is missing or older than this figure."""
    for path in sorted(
        (out / "victims").glob(f"*-{record.victim.configuration[:8]}/training.json")
    ):
        try:
            log = json.loads(path.read_text(encoding="utf-8"))
            return (
                float(log["epochs"][-1]["distance"])
                if log["key"] == record.victim.configuration
                else None
            )
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return None
    return None


def sweep_table(rows: Sequence[SweepRow], style: str = "pipe") -> list[str]:
    """Lines of the table: a row a defense and point, a column a swept option and attack."""
    options, attacks = list(rows[0].values), list(rows[0].attacks)
    headings = [
        "defense",
        *options,
        "seeds",
        "n",
        "clean accuracy",
        *attacks,
        "worst case",
        "distance",
    ]
    body = []
    for found in rows:
        scores = [
            found.scores.clean,
            *(found.scores.under[found.attacks[name]] for name in attacks),
            found.scores.worst,
        ]
        size = ABSENT if found.scores.examples is None else str(found.scores.examples)
        cells = [found.values[name] for name in options] + [str(len(found.scores.seeds)), size]
        body.append(
            [found.defense, *cells, *map(score_text, scores), _distance_text(found.distances)]
        )
    return tabulated(body, headings, style, names=1)


def _distance_text(distances: Sequence[float]) -> str:
    if not distances:
        return ABSENT
    return f"{fmean(distances):.4f}" + (f" ± {stdev(distances):.4f}" if len(distances) > 1 else "")


def stem(found: Sequence[Point]) -> str:
    """What the files of a sweep are called, without the ending: ``sweep-imdb-defense.alpha``."""
    return "-".join(["sweep", *found[0].request.tasks, *found[0].values])


def render_sweep(
    found: Sequence[Point], rows: Sequence[SweepRow], records: Sequence[Record], figure: str | None
) -> str:
    """Markdown of a sweep.

    Args:
        figure: file name of its figure beside it; None without one.

    Raises:
        RobenchError: there are no records.
    """
    if not rows:
        raise RobenchError("The sweep has no records.")
    notice = synthetic_notice(records)
    lines = [
        "<!-- Made by `robench sweep` from records. -->",
        "",
        f"# {' and '.join(found[0].values)} on {found[0].request.tasks[0]}",
        "",
    ]
    lines += [f"> {notice}", ""] if notice else []
    lines += [*sweep_table(rows), ""]
    lines += [f"![the same as a figure]({figure})", ""] if figure else []
    lines += [
        "**Distance**: of the encoder's weights after the last epoch from the pre-trained ones, relative to their norm (L2).",
        "",
    ]
    lines += [
        "## Conditions",
        "",
        *[f"- {line}" for line in conditions(records)],
        "",
        "## What the columns mean",
        "",
        MEANINGS,
        "",
    ]
    return "\n".join(lines)
