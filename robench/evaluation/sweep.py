"""Sweep: the same evaluation at every value of some options.

The result is one table (like Table 4 of the RIFT paper, see ``sweep_table``) and one figure (like
its Figures 2b and 4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from robench._base.bounded_reading import Unreadable
from robench._base.errors import UsageError
from robench._base.reporting import Reporter
from robench.evaluation.failures import Failures
from robench.evaluation.request import EvaluationRequest
from robench.models.training_log import read_training_log
from robench.records.columns import board_columns
from robench.records.record import Record
from robench.records.rows import DefenseRow, build_rows
from robench.records.run_folder import RunFolder
from robench.tasks.resolving import task_name

SEPARATOR = ","
"""Separates the values of an option: ``defense.alpha=0,0.1``."""


@dataclass(frozen=True)
class SweepPoint:
    """One value of each swept option, and the evaluation with these values.

    Attributes:
        values: name of a swept option -> its value, such as ``{"defense.alpha": "0.05"}``.
        request: the evaluation.
    """

    values: Mapping[str, str]
    request: EvaluationRequest

    @property
    def label(self) -> str:
        """The values as text."""
        return ", ".join(f"{name}={value}" for name, value in self.values.items())


@dataclass(frozen=True)
class SweepRow:
    """The results of one defense at one point.

    Attributes:
        defense: name of the defense.
        values: values of the swept options.
        attacks: name of an attack -> its label. The label changes with a swept option of the
            attack.
        scores: the scores. Its ``under`` has the labels of the attacks.
        distances: distance from the pre-trained weights after the last epoch, one per seed.
            A seed is left out if its training log does not hold the distance.
    """

    defense: str
    values: Mapping[str, str]
    attacks: Mapping[str, str]
    scores: DefenseRow
    distances: tuple[float, ...]


def sweep_points(
    options: Mapping[str, str], make_request: Callable[[Mapping[str, str]], EvaluationRequest]
) -> list[SweepPoint]:
    """Return a point for every combination of the values of the swept options.

    An option is swept if it has several values: ``{"defense.alpha": "0,0.1"}`` gives two points.

    Args:
        options: name -> value, or several values.
        make_request: returns the evaluation for options with one value each.

    Raises:
        UsageError: no option has several values, a value is empty or occurs twice, the
            evaluation is not about exactly one task, or it has no attack.
    """
    swept = {name: _values(name, text) for name, text in options.items() if SEPARATOR in text}
    if not swept:
        raise UsageError(
            "There is nothing to sweep: give an option several values, such as "
            "--option defense.alpha=0,0.05,0.1."
        )
    points: list[SweepPoint] = []
    for combination in product(*swept.values()):
        values = dict(zip(swept, combination, strict=True))
        points.append(SweepPoint(values, make_request({**options, **values})))
    request = points[0].request
    if len(request.tasks) != 1 or request.tasks[0] == "all":
        raise UsageError(
            f"A sweep is about one task, not {' and '.join(request.tasks)}. Sweep each of them "
            "separately."
        )
    if not request.attacks:
        raise UsageError("A sweep needs an attack. Name one with --attack.")
    return points


def _values(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(SEPARATOR)]
    if "" in values or len(set(values)) < len(values):
        raise UsageError(
            f"--option {name}={text}: a sweep takes several values, none empty and none twice."
        )
    return values


def sweep(points: Sequence[SweepPoint], report: Reporter) -> tuple[list[SweepRow], list[Record]]:
    """Evaluate every point. All points are checked first, and finished work is reused.

    Returns:
        The rows, defense by defense and in the order of the points, and all records.

    Raises:
        UsageError: a point cannot be evaluated. Nothing was trained.
        Incomplete: some points, or parts of them, failed. The error holds the rows, with gaps,
            and the records.
        RobenchError: the disk is full.
    """
    from robench.evaluation.run import evaluate, plan

    # A wrong value of the last point should be found before the training of the first one.
    for point in points:
        plan(point.request)
    failures = Failures(report)
    results: list[Sequence[Record]] = []
    for point in points:
        results.append(failures.run_parts(point.label, partial(evaluate, point.request, report)))
    records = [record for of_point in results for record in of_point]
    # Every point has the same rows and columns, even if a part of it failed.
    defenses = list(dict.fromkeys(record.row_name for record in records))
    attacks = list(dict.fromkeys(record.attack.name for record in records))
    rows: list[SweepRow] = []
    for point, of_point in zip(points, results, strict=True):
        rows += rows_at(point, of_point, defenses, attacks)
    rows.sort(key=lambda row: defenses.index(row.defense))
    failures.raise_if_any((rows, records))
    return rows, records


def rows_at(
    point: SweepPoint,
    records: Sequence[Record],
    defenses: Sequence[str] = (),
    attacks: Sequence[str] = (),
) -> list[SweepRow]:
    """Return one row per defense from the records of one point.

    Args:
        point: the point.
        records: its records.
        defenses: names of defenses that have a row even without a record.
        attacks: names of attacks that have a column even without a record.
    """
    folder = RunFolder(point.request.out)
    labels = {name: name for name in attacks}
    labels.update({record.attack.name: record.attack.label for record in records})
    rows: list[SweepRow] = []
    for name in dict.fromkeys([*defenses, *(record.row_name for record in records)]):
        own = [record for record in records if record.row_name == name]
        columns = board_columns(labels.values(), own)
        expected = () if own else (name,)
        (scores,) = build_rows(own, columns.attacks, expected, columns.worst_over)
        # All attacks on one seed share the victim, so one record per seed is enough.
        one_per_seed = {record.search.seed: record for record in own}
        distances = [last_distance(folder, record) for record in one_per_seed.values()]
        known = tuple(distance for distance in distances if distance is not None)
        rows.append(SweepRow(name, point.values, labels, scores, known))
    return rows


def last_distance(folder: RunFolder, record: Record) -> float | None:
    """Return the distance of a record's victim from the pre-trained weights.

    It is the distance after the last epoch. The result is None if the victim's training log is
    missing or does not hold the distance.
    """
    for path in folder.training_logs(record.victim.configuration):
        try:
            log = read_training_log(path)
            if log["key"] != record.victim.configuration:
                return None
            return float(log["epochs"][-1]["distance"])
        except (Unreadable, ValueError, KeyError, IndexError, TypeError):
            return None
    return None


def file_stem(points: Sequence[SweepPoint]) -> str:
    """Return the name of a sweep's files without the ending: ``sweep-imdb-defense.alpha``."""
    return "-".join(["sweep", task_name(points[0].request.tasks[0]), *points[0].values])
