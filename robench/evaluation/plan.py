"""What an evaluation would do here and now, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from robench._base.hub import no_pointless_retries
from robench._base.reporting import Silent
from robench.evaluation.cell import cell_key, trials_path
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import ResolvedAttack, ResolvedTask, ResolvedVictim, resolve_request
from robench.results.run_folder import cell_name
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench.text.surface_building import SurfaceRequest


class PlannedCell(BaseModel):
    """One cell of the grid and what would be done for it.

    Attributes:
        defense, attack: labels: the name, followed by those options that differ from its defaults.
        victim: whether the victim must be trained or is there with the same configuration.
        surface: whether the surface must be built or is there; None where nothing is attacked.
        done, total: trials on file and trials wanted.
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
    """What ``evaluate`` would do; nothing is trained, built or written.

    Raises:
        UsageError: for everything that ``evaluate`` would refuse before it begins: names, options, data, device, language model.
    """
    inputs = resolve_request(request, Silent())
    cells: list[PlannedCell] = []
    for task in inputs.tasks:
        surface = inputs.surface_request(task)
        for chosen in task.victims:
            attacks: Sequence[ResolvedAttack | None] = inputs.attacks or [None]
            cells += [_cell(request, task, chosen, attack, surface) for attack in attacks]
    return cells


def _cell(
    request: EvaluationRequest,
    task: ResolvedTask,
    chosen: ResolvedVictim,
    attack: ResolvedAttack | None,
    wanted: SurfaceRequest,
) -> PlannedCell:
    from robench.models.victim import read_card

    folder = request.out / "victims" / chosen.fit.folder_name
    there = folder.exists() and not request.retrain
    done, surface = 0, None
    if attack is not None:
        surface = "reuse" if wanted.path(request.out / "surfaces").exists() else "build"
        if there:
            key = cell_key(
                request, chosen.fit, read_card(folder)["sha256"], attack, wanted.ingredients
            )
            name = cell_name(task.name, chosen.fit.defense, attack.name, chosen.fit.seed, key)
            ids = {example.id for example in task.examples}
            done = len(ids & TrialFile(trials_path(request.out, name)).ids_done(errors=False))
    return PlannedCell(
        task=task.name,
        defense=chosen.label,
        attack=None if attack is None else attack.label,
        seed=chosen.fit.seed,
        victim="reuse" if there else "train",
        surface=surface,
        done=done,
        total=0 if attack is None else len(task.examples),
    )
