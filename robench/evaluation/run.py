"""The grid: every defense against every attack on every task, seed by seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench._base.hub import no_pointless_retries
from robench._base.reporting import Reporter, Silent
from robench.evaluation.cell import CellRun, TrainedVictim
from robench.evaluation.failures import Failures
from robench.evaluation.plan import PlannedCell, plan
from robench.evaluation.record_assembly import save_record
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.resolve import (
    ResolvedRequest,
    ResolvedTask,
    ResolvedVictim,
    balanced_prefix,
    resolve_request,
)
from robench.results.atomic import write_text
from robench.results.leaderboard import render_run
from robench.results.record import Record
from robench.results.record_files import find_records

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.text.surface import Surface
    from robench.training.loop import TrainingProgress

__all__ = [
    "EvaluationRequest",
    "PlannedCell",
    "Reporter",
    "Silent",
    "build_request",
    "evaluate",
    "plan",
    "train_only",
]

CHECKED = 200
"""Dev examples that the checks ask about."""


@no_pointless_retries()
def evaluate(request: EvaluationRequest, report: Reporter) -> list[Record]:
    """Carry out ``request``; returns the records of its cells in the order task, defense, seed, attack.

    Whatever is finished stands on disk: an interrupted run goes on where it was when it is called again. A record of another cell that cannot be read
    is named in ``leaderboard.md``, which shows the rest; the record of a cell of this run is then made anew from its trials.

    Raises:
        UsageError: the request cannot be carried out as it was put; nothing was trained.
        Incomplete: some victims could not be trained or failed a check, or some attacks on them broke; it holds the records of the others.
        RobenchError: the disk is full, a surface cannot be built, or a run of one single cell failed.
    """
    _in_one_process()
    inputs = resolve_request(request, report)
    failures, single = Failures(report), _victims(inputs) == 1
    records = []
    for task in inputs.tasks:
        surface = _surface(request, inputs, task, report)
        for chosen in task.victims:
            what = _named(chosen, task)
            with failures.catch(what, only=single):
                trained = _trained(request, task, chosen, report)
                for attack in inputs.attacks:
                    with failures.catch(
                        f"{what}, under {attack.label}", only=single and len(inputs.attacks) == 1
                    ):
                        cell = CellRun(
                            request,
                            task,
                            chosen,
                            trained,
                            attack,
                            surface,
                            "none" if inputs.scorer is None else inputs.scorer.identity,
                        )
                        trials, fresh = cell.run(report)
                        records.append(save_record(cell, trials, fresh, report))
                        write_text(
                            request.out / "leaderboard.md",
                            render_run(find_records(request.out / "records")),
                        )
    failures.raise_if_any(records)
    return records


@no_pointless_retries()
def train_only(request: EvaluationRequest, report: Reporter) -> list[Path]:
    """Train what ``request`` lacks, question every victim, and return the victims' folders.

    Raises:
        UsageError, Incomplete, RobenchError: see ``evaluate``; ``Incomplete`` holds the folders of the others.
    """
    inputs = resolve_request(request, report, searching=False)
    failures, single = Failures(report), _victims(inputs) == 1
    folders = []
    for task in inputs.tasks:
        for chosen in task.victims:
            with failures.catch(_named(chosen, task), only=single):
                folders.append(_trained(request, task, chosen, report).folder)
    failures.raise_if_any(folders)
    return folders


def _victims(inputs: ResolvedRequest) -> int:
    return sum(len(task.victims) for task in inputs.tasks)


def _named(chosen: ResolvedVictim, task: ResolvedTask) -> str:
    return f"{chosen.label} on {task.name}, seed {chosen.fit.seed}"


def _in_one_process() -> None:
    from robench.training.runtime import processes

    if processes() > 1:
        raise UsageError(
            "A launcher shares trainings out, not attacks: run 'robench train' with it, then 'robench evaluate' without it, which has --workers of its own."
        )


def _surface(
    request: EvaluationRequest, inputs: ResolvedRequest, task: ResolvedTask, report: Reporter
) -> Surface:
    from robench.text.surface_building import load_or_build

    report.started("surface", task.name, len(task.examples))
    surface = load_or_build(
        request.out / "surfaces",
        inputs.surface_request(task),
        lambda done, total: report.advanced(done, total, ""),
    )
    meta = surface.meta
    report.finished(
        f"{meta['substitutes']:,} substitutes at {meta['positions']:,} of {meta['words']:,} words"
    )
    if inputs.scorer is None:
        report.message(
            "There is no language model (--lm none): the constraint binds no attack, and every record says so."
        )
    return surface


def _trained(
    request: EvaluationRequest, task: ResolvedTask, chosen: ResolvedVictim, report: Reporter
) -> TrainedVictim:
    """The victim, trained if need be, and questioned."""
    from robench.training.loop import train_or_load

    what = _named(chosen, task)
    folder = request.out / "victims" / chosen.fit.folder_name
    if folder.exists() and not request.retrain:
        report.message(f"The victim {what} is there with the same configuration ({folder.name}).")
        victim, _ = train_or_load(chosen.fit, request.out / "victims")
    else:
        report.started("training", what, None)
        victim, _ = train_or_load(
            chosen.fit, request.out / "victims", _Listener(report), retrain=request.retrain
        )
        report.finished(f"kept in {folder.name}")
    seconds, unknown = _training_seconds(folder)
    return TrainedVictim(victim, folder, seconds, unknown, _questioned(victim, task, what, report))


class _Listener:
    """Turns the training loop's progress into the reporter's."""

    def __init__(self, report: Reporter) -> None:
        self._report = report

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.message:
            self._report.message(progress.message)
        if progress.steps:
            done = (progress.epoch - 1) * progress.steps + progress.step
            loss = "" if progress.loss is None else f"loss {progress.loss:.3f}"
            self._report.advanced(
                done,
                progress.epochs * progress.steps,
                f"epoch {progress.epoch} of {progress.epochs}, {loss}".rstrip(", "),
            )


def _training_seconds(folder: Path) -> tuple[float | None, str]:
    """Wall clock of a victim's training as its log has it; None with the reason where it has none."""
    try:
        epochs = json.loads((folder / "training.json").read_text(encoding="utf-8"))["epochs"]
        return round(
            sum(epoch["training_seconds"] + epoch["dev_seconds"] for epoch in epochs), 3
        ), ""
    except (OSError, ValueError, KeyError, TypeError):
        return None, "the victim's training.json is missing or cannot be read"


def _questioned(victim: Victim, task: ResolvedTask, what: str, report: Reporter) -> tuple[str, ...]:
    """Put the checks to a victim, on dev.

    Returns:
        What they found, as sentences for the record.

    Raises:
        RobenchError: it cannot be judged at all.
    """
    from robench.models.health_checks import check_victim

    examples = balanced_prefix(task.splits.dev, min(CHECKED, len(task.splits.dev)))
    report.started("checks", what, None)
    found = check_victim(victim, examples)
    report.finished("nothing stands out" if not found else "")
    for finding in found:
        report.message(f"Take care: {finding.message}")
    return tuple(f"{finding.name}: {finding.message}" for finding in found)
