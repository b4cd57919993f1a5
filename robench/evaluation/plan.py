"""Plan an evaluation: what a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from robench._base.hub import no_pointless_retries
from robench._base.no_exit import without_exits
from robench._base.reporting import Reporter, Silent
from robench.evaluation.cell import cell_key
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import resolve_request
from robench.evaluation.resolved import (
    ResolvedAttack,
    ResolvedRequest,
    ResolvedTask,
    ResolvedTest,
)
from robench.evaluation.resolved_victims import ResolvedVictim, State, TrainedVictim
from robench.evaluation.temperature import calibration_digest
from robench.evaluation.unknown_words import remark_before_training
from robench.records.run_folder import RunFolder, cell_name
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench.models.given.function import FunctionVictim
    from robench.text.surface_building import SurfaceRequest


class PlannedCell(BaseModel):
    """A cell of the grid, and what a run would do for it.

    Attributes:
        task: name of the task, and the test set where it is not the task's own.
        defense: label of the row: the name of the defense, followed by the options that differ from
            the defaults; or the name of a victim that the user gave.
        attack: label of the attack, or None if nothing is attacked.
        seed: seed of training and search.
        victim: whether the victim must be trained, exists with the same configuration, or is
            loaded because the user gave it.
        surface: whether the surface must be built, or exists. None if nothing is attacked.
        done: number of examples that have a trial.
        total: number of examples to attack.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    defense: str
    attack: str | None
    seed: int
    victim: State
    surface: Literal["build", "reuse"] | None
    done: int
    total: int


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def plan(
    request: EvaluationRequest,
    report: Reporter | None = None,
    *,
    functions: Sequence[FunctionVictim] = (),
) -> list[PlannedCell]:
    """Return what ``evaluate`` would do. Nothing is trained, built or written.

    Args:
        request: the evaluation.
        report: receives what was chosen or guessed; the phases are not reported.
        functions: victims that are functions; see ``evaluate``.

    Raises:
        UsageError: ``evaluate`` would refuse the request: a name, an option, the data, the
            device or the language model is wrong or missing.
    """
    return planned_cells(request, resolve_quietly(request, report, functions), report)


def resolve_quietly(
    request: EvaluationRequest,
    report: Reporter | None = None,
    functions: Sequence[FunctionVictim] = (),
) -> ResolvedRequest:
    """Resolve a request and pass only the messages on; see ``plan`` for the arguments."""
    return resolve_request(request, _MessagesOf(report or Silent()), functions=functions)


def planned_cells(
    request: EvaluationRequest, resolved: ResolvedRequest, report: Reporter | None
) -> list[PlannedCell]:
    """Return the cells of a resolved request: by task, victim, test set and attack."""
    cells: list[PlannedCell] = []
    for task in resolved.tasks:
        surfaces = [
            (test, {name: resolved.surface_request(task, test, name) for name in resolved.sets})
            for test in task.tests
        ]
        if report is not None:
            _tell_unknown(request, resolved, task, report)
        calibration = calibration_digest(request, task)
        for victim in task.victims:
            if not resolved.attacks:
                cells.append(_planned_training(request, task.name, victim))
            attacks = resolved.attacks_on(victim)
            # Once for each victim: all its files are hashed. It is None before the training.
            known = victim.known_identity(request) if attacks else None
            for test, by_set in surfaces:
                for attack in attacks:
                    surface = by_set[attack.substitutions]
                    key = known and cell_key(
                        request, victim, known, attack, surface.ingredients, calibration
                    )
                    cells.append(_planned_attack(request, test, victim, attack, surface, key))
    return cells


def _tell_unknown(
    request: EvaluationRequest, resolved: ResolvedRequest, task: ResolvedTask, report: Reporter
) -> None:
    """Say how many substitutes the victims will not know, which needs no training."""
    from robench.text.surface_building import build_surface

    if not any(isinstance(victim, TrainedVictim) for victim in task.victims):
        return
    for test in task.tests:
        for name in resolved.sets:
            # The shares leave out the language model, whose scores would take long.
            wanted = replace(resolved.surface_request(task, test, name), scorer=None)
            remark = remark_before_training(
                task,
                test,
                build_surface(wanted),
                resolved.protocol.lm_threshold,
                removed=request.unknown == "forbidden",
            )
            if remark is not None:
                report.message(remark)


class _MessagesOf(Silent):
    """Pass only the messages of a run on to a reporter."""

    def __init__(self, report: Reporter) -> None:
        self._report = report

    def message(self, text: str) -> None:
        self._report.message(text)


def _planned_training(
    request: EvaluationRequest, title: str, victim: ResolvedVictim
) -> PlannedCell:
    """Return the cell of a victim that is trained or loaded and not attacked."""
    return PlannedCell(
        task=title,
        defense=victim.label,
        attack=None,
        seed=victim.seed,
        victim=victim.state(request),
        surface=None,
        done=0,
        total=0,
    )


def _planned_attack(
    request: EvaluationRequest,
    test: ResolvedTest,
    victim: ResolvedVictim,
    attack: ResolvedAttack,
    surface: SurfaceRequest,
    key: str | None,
) -> PlannedCell:
    """Return the cell of a victim under an attack; its key is None before the training."""
    cell = _planned_training(request, test.title, victim)
    exists = surface.path(RunFolder(request.out).surfaces).exists()
    return cell.model_copy(
        update={
            "attack": attack.label,
            "surface": "reuse" if exists else "build",
            "done": 0 if key is None else _count_done(request, test, victim, attack, key),
            "total": len(request.share(test.examples)),
        }
    )


def _count_done(
    request: EvaluationRequest,
    test: ResolvedTest,
    victim: ResolvedVictim,
    attack: ResolvedAttack,
    key: str,
) -> int:
    """Return how many of the test set's examples have a trial of the cell with this key."""
    name = cell_name(test.file_part, victim.row_name, attack.name, victim.seed, key)
    path = request.own_folder.trials_file(name)
    done = TrialFile(path, cell=key).ids_done(errors=False)
    return len(done & {example.id for example in request.share(test.examples)})
