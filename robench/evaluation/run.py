"""Run the grid: every defense against every attack on every task, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from robench._base import arithmetic
from robench._base.errors import UsageError
from robench._base.hub import no_pointless_retries
from robench._base.no_exit import without_exits
from robench._base.reporting import Reporter, Silent
from robench.evaluation.backend import Backend, open_backend
from robench.evaluation.cell import Cell
from robench.evaluation.checked_victims import HealthChecks
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.cost_plan import plan_with_costs
from robench.evaluation.failures import Failures
from robench.evaluation.free_first import free_first, is_attacked, is_trained
from robench.evaluation.plan import PlannedCell, plan
from robench.evaluation.process_guard import same_process
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.resolve import resolve_request
from robench.evaluation.resolved import ResolvedRequest, ResolvedTask, ResolvedTest
from robench.evaluation.resolved_victims import ResolvedVictim
from robench.evaluation.results import evaluate_cell, write_card_of, write_leaderboard
from robench.evaluation.side_by_side import SideBySide
from robench.evaluation.surfaces import load_or_build_surfaces
from robench.evaluation.trained_elsewhere import trained_elsewhere
from robench.evaluation.unknown_words import UnknownWords
from robench.evaluation.victims import ReadyVictim, reloaded, victim_title
from robench.records.record import Record
from robench.records.record_dates import RunClock
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.test_set import TestSet, write_test_set
from robench.records.trial_marks import KnownRun
from robench.search.unchanged import VictimChanged

if TYPE_CHECKING:
    from robench.models.given.function import FunctionVictim
    from robench.text.surface import Surface

Finished = TypeVar("Finished")
"""What a run makes of a cell: its record, or the part of a shard."""

__all__ = [
    "EvaluationRequest",
    "PlannedCell",
    "Reporter",
    "Silent",
    "build_request",
    "evaluate",
    "plan",
    "plan_with_costs",
    "train_only",
]


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def evaluate(
    request: EvaluationRequest, report: Reporter, *, functions: Sequence[FunctionVictim] = ()
) -> list[Record]:
    """Carry out ``request`` and return its records, by task, victim, seed, test set and attack.

    Finished work is on disk. If the run is interrupted, the same call continues it.

    A record of another cell that cannot be read is named in ``leaderboard.md``, which shows the
    other records. If the record of a cell of this run cannot be read, it is made again from its
    trials.

    Args:
        request: the evaluation.
        report: receives the progress.
        functions: victims that are functions of the user. They are no part of ``request``, because
            a request is plain data.

    Raises:
        UsageError: the request cannot be carried out. Nothing was trained.
        Incomplete: some victims could not be trained or failed a check, or some attacks failed.
            The error holds the other records.
        RobenchError: the disk is full, a surface cannot be built, or the only cell of the run
            failed.
    """
    if request.shard is not None:
        raise UsageError(
            f"Shard {request.shard} has no records. Run 'robench evaluate --shard' on the command "
            "line, and join the shards with 'robench merge'."
        )
    known = KnownRun()
    clock = RunClock(find_records(RunFolder(request.out).records, known.records).records)

    def finish(cell: Cell) -> Record:
        record = evaluate_cell(cell, report, clock)
        write_leaderboard(request.out, report, known)
        return record

    def start() -> None:
        if clock.remark is not None:
            report.message(clock.remark)

    return carry_out(request, report, finish, functions, start, write_card_of)


def carry_out(
    request: EvaluationRequest,
    report: Reporter,
    finish: Callable[[Cell], Finished],
    functions: Sequence[FunctionVictim] = (),
    start: Callable[[], None] = lambda: None,
    after_victim: Callable[[EvaluationRequest, ResolvedVictim, Reporter], None] = lambda *_: None,
) -> list[Finished]:
    """Train or load every victim, and finish every cell; see ``evaluate``.

    Args:
        request: the evaluation.
        report: receives the progress.
        finish: attacks the examples of a cell, and returns what it made of them.
        functions: victims that are functions.
        start: called before the first victim.
        after_victim: called after the cells of a victim.
    """
    _refuse_several_processes()
    resolved = resolve_request(request, report, functions=functions)
    if (late := arithmetic.warning()) is not None:
        report.message(late)
    start()
    failures, single = Failures(report), _number_of_victims(resolved) == 1
    finished = list[Finished]()
    with open_backend(request, report) as backend:
        request, untrained = trained_elsewhere(backend, request, resolved)
        trainings = SideBySide(request, report)
        trainings.train(resolved.tasks)
        checks = HealthChecks(trainings.then, report, untrained)
        for task in resolved.tasks:
            for test in task.tests:
                keep_texts(request, task, test)
            surfaces = [
                load_or_build_surfaces(request, resolved, task, test, report) for test in task.tests
            ]
            found = dict[tuple[int, int], Finished]()
            for place in free_first(task.victims, partial(is_trained, request)):
                each = task.victims[place]
                title = victim_title(each, task)
                with failures.catch(title, only=single):
                    trainings.check(each)
                    make_cells = partial(_cells, request, resolved, task, surfaces, backend)
                    with same_process(f"the training and checks of {title}", report):
                        cells = make_cells(checks.obtain(task, each, make_cells))
                    for number, done in _finished_cells(
                        cells, make_cells, title, finish, failures, report, only=single
                    ):
                        found[place, number] = done
                    after_victim(request, each, report)
            finished += [found[key] for key in sorted(found)]
    failures.raise_if_any(finished)
    return finished


def _finished_cells(
    cells: Sequence[Cell],
    make_cells: Callable[[ReadyVictim], Sequence[Cell]],
    title: str,
    finish: Callable[[Cell], Finished],
    failures: Failures,
    report: Reporter,
    *,
    only: bool,
) -> Iterator[tuple[int, Finished]]:
    """Finish the cells of one victim, and yield the place of each and what became of it.

    Args:
        cells: the cells.
        make_cells: makes them again, for the victim as it is stored.
        title: name of the victim for people.
        finish: see ``carry_out``.
        failures: remembers the cells that fail.
        report: receives the progress.
        only: whether the run has no other victim.
    """
    for number in free_first(cells, is_attacked):
        part, alone = _part(title, cells[number]), only and len(cells) == 1
        with failures.catch(part, only=alone):
            try:
                with same_process(part, report):
                    done = finish(cells[number])
            except VictimChanged:
                # What it left behind in the process would change this victim, too.
                cells = make_cells(reloaded(cells[number].victim))
                raise
            yield number, done


def keep_texts(request: EvaluationRequest, task: ResolvedTask, test: ResolvedTest) -> None:
    """Write the texts of a test set, so that its trials can be shown later."""
    write_test_set(
        RunFolder(request.out).examples_file(test.file_part, test.digest),
        TestSet(test.file_part, test.digest, task.task.labels, task.task.attackable, test.whole),
    )


def _cells(
    request: EvaluationRequest,
    resolved: ResolvedRequest,
    task: ResolvedTask,
    surfaces: Sequence[Mapping[str, Surface]],
    backend: Backend,
    victim: ReadyVictim,
) -> list[Cell]:
    """Return the cells of one victim, one per test set and attack."""
    language_model = "none" if resolved.scorer is None else resolved.scorer.identity
    threshold, cells = victim.resolved.protocol.lm_threshold, list[Cell]()
    for test, by_set in zip(task.tests, surfaces, strict=True):
        unknown = {
            name: UnknownWords(surface, test.examples, victim.victim, threshold, test.source(name))
            for name, surface in by_set.items()
        }
        cells += [
            Cell(
                request,
                test,
                victim,
                attack,
                by_set[attack.substitutions],
                resolved.surface_request(task, test).key,
                language_model,
                unknown[attack.substitutions],
                backend,
            )
            for attack in resolved.attacks_on(victim.resolved)
        ]
    return cells


def _part(title: str, cell: Cell) -> str:
    """Return the name of a cell for the message about its failure."""
    other = "" if cell.test.other is None else f", judged on {cell.test.other}"
    return f"{title}{other}, under {cell.attack.label}"


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def train_only(request: EvaluationRequest, report: Reporter) -> list[Path]:
    """Train the victims that do not exist yet, check all victims, and return their folders.

    Raises:
        UsageError: see ``evaluate``.
        Incomplete: see ``evaluate``. The error holds the folders of the other victims.
        RobenchError: see ``evaluate``.
    """
    resolved = resolve_request(request, report, searching=False)
    if (late := arithmetic.warning()) is not None:
        report.message(late)
    failures, single = Failures(report), _number_of_victims(resolved) == 1
    folders = list[Path]()
    with open_backend(request, report) as backend:
        request, untrained = trained_elsewhere(backend, request, resolved)
        trainings = SideBySide(request, report)
        trainings.train(resolved.tasks)
        checks = HealthChecks(trainings.then, report, untrained)
        for task in resolved.tasks:
            for each in task.victims:
                title = victim_title(each, task)
                with (
                    failures.catch(title, only=single),
                    same_process(f"the training of {title}", report),
                ):
                    trainings.check(each)
                    folder = checks.obtain(task, each).obtained.folder
                    folders += [] if folder is None else [folder]
    failures.raise_if_any(folders)
    return folders


def _number_of_victims(resolved: ResolvedRequest) -> int:
    return sum(len(task.victims) for task in resolved.tasks)


def _refuse_several_processes() -> None:
    from robench.training.runtime import processes

    if processes() > 1:
        raise UsageError(
            "A launcher distributes training, but not attacks. Run 'robench train' with the "
            "launcher, then 'robench evaluate' without it. 'robench evaluate' has its own "
            "--workers."
        )
