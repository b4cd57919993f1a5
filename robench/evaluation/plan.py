"""Plan an evaluation: what a run would do, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from robench._base.hub import no_pointless_retries
from robench._base.reporting import Silent
from robench.evaluation.cell import cell_key
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import ResolvedAttack, ResolvedTask, ResolvedVictim, resolve_request
from robench.records.run_folder import RunFolder, cell_name
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench.text.surface_building import SurfaceRequest


class PlannedCell(BaseModel):
    """A cell of the grid, and what a run would do for it.

    Attributes:
        task: name of the task.
        defense: label of the defense: its name, followed by the options that differ from the
            defaults.
        attack: label of the attack, or None if nothing is attacked.
        seed: seed of training and search.
        victim: whether the victim must be trained, or exists with the same configuration.
        surface: whether the surface must be built, or exists. None if nothing is attacked.
        done: number of examples that have a trial.
        total: number of examples to attack.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    defense: str
    attack: str | None
    seed: int
    victim: Literal["train", "reuse"]
    surface: Literal["build", "reuse"] | None
    done: int
    total: int


@no_pointless_retries()
def plan(request: EvaluationRequest) -> list[PlannedCell]:
    """Return what ``evaluate`` would do. Nothing is trained, built or written.

    Raises:
        UsageError: ``evaluate`` would refuse the request: a name, an option, the data, the
            device or the language model is wrong or missing.
    """
    resolved = resolve_request(request, Silent())
    cells: list[PlannedCell] = []
    for task in resolved.tasks:
        surface = resolved.surface_request(task)
        for victim in task.victims:
            if not resolved.attacks:
                cells.append(_planned_training(request, task, victim))
            for attack in resolved.attacks:
                cells.append(_planned_attack(request, task, victim, attack, surface))
    return cells


def _planned_training(
    request: EvaluationRequest, task: ResolvedTask, victim: ResolvedVictim
) -> PlannedCell:
    """Return the cell of a victim that is trained and not attacked."""
    return PlannedCell(
        task=task.name,
        defense=victim.label,
        attack=None,
        seed=victim.fit.seed,
        victim="reuse" if _is_reused(request, victim) else "train",
        surface=None,
        done=0,
        total=0,
    )


def _planned_attack(
    request: EvaluationRequest,
    task: ResolvedTask,
    victim: ResolvedVictim,
    attack: ResolvedAttack,
    surface: SurfaceRequest,
) -> PlannedCell:
    """Return the cell of a victim under an attack."""
    cell = _planned_training(request, task, victim)
    exists = surface.path(RunFolder(request.out).surfaces).exists()
    return cell.model_copy(
        update={
            "attack": attack.label,
            "surface": "reuse" if exists else "build",
            "done": _count_done(request, task, victim, attack, surface),
            "total": len(task.examples),
        }
    )


def _is_reused(request: EvaluationRequest, victim: ResolvedVictim) -> bool:
    return not request.retrain and _victim_folder(request, victim).exists()


def _victim_folder(request: EvaluationRequest, victim: ResolvedVictim) -> Path:
    return RunFolder(request.out).victim(victim.fit.folder_name)


def _count_done(
    request: EvaluationRequest,
    task: ResolvedTask,
    victim: ResolvedVictim,
    attack: ResolvedAttack,
    surface: SurfaceRequest,
) -> int:
    """Return how many of the task's examples have a trial.

    The key of a cell holds the hash of the victim's weights, so a victim that is still to be
    trained has no trials.
    """
    from robench.models.victim import read_card

    if not _is_reused(request, victim):
        return 0
    fit = victim.fit
    weights = read_card(_victim_folder(request, victim))["sha256"]
    key = cell_key(request, fit, weights, attack, surface.ingredients)
    name = cell_name(task.name, fit.defense, attack.name, fit.seed, key)
    done = TrialFile(RunFolder(request.out).trials_file(name)).ids_done(errors=False)
    return len(done & {example.id for example in task.examples})
