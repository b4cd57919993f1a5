"""What a run would take: the planned cells, the parts of the run and an estimate of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from robench._base.environment import describe_device
from robench._base.hub import no_pointless_retries
from robench._base.no_exit import without_exits
from robench._base.reporting import Reporter
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.cost_estimate import Estimate, PastEstimates, Range, estimate
from robench.evaluation.cost_log import Done, Kind, Work, cost_log
from robench.evaluation.cost_parts import (
    TextSize,
    attack_work,
    published_counts,
    surface_work,
    training_work,
)
from robench.evaluation.plan import PlannedCell, planned_cells, resolve_quietly
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolved import ResolvedRequest, ResolvedTask, ResolvedTest
from robench.evaluation.resolved_victims import ResolvedVictim, TrainedVictim
from robench.search.workers import devices_of


class PlannedRange(BaseModel):
    """An estimated amount; see ``cost_estimate.Range``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    likely: float
    high: float
    source: str


class PlannedPart(BaseModel):
    """A part of a run that takes time, with its estimate.

    Attributes:
        kind: ``"surface"``, ``"training"`` or ``"attack"``.
        title: name of the part for people.
        key: what identifies the part; parts of the same key are done once.
        queries: queries of an attack. None for other parts.
        rows: rows of an attack that go through the victim. None for other parts.
        seconds: wall-clock seconds. None where nothing like it was measured on this device.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    title: str
    key: str
    queries: PlannedRange | None
    rows: PlannedRange | None
    seconds: PlannedRange | None


class PlannedTotal(BaseModel):
    """The sum of the parts that have an estimate.

    Attributes:
        low, likely, high: wall-clock seconds, with the parts one after the other.
        unknown: number of parts without an estimate of time. They are not in the sum.
        gpu_hours: least and most hours of one GPU; None if the device is no GPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    likely: float
    high: float
    unknown: int
    gpu_hours: tuple[float, float] | None


class PastFactors(BaseModel):
    """How far off earlier estimates on this device were; see ``cost_estimate.PastEstimates``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: int
    median_factor: float
    worst_factor: float
    inside: int


class Plan(BaseModel):
    """What a run would do and take.

    Attributes:
        cells: the cells.
        parts: what takes time, in the order of the run.
        device: name of the device.
        gpu: whether it is a GPU.
        gpus: GPUs that the searches of a cell use.
        past: how far off earlier estimates were; None where there were none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: tuple[PlannedCell, ...]
    parts: tuple[PlannedPart, ...]
    device: str
    gpu: bool
    gpus: int = 1
    past: PastFactors | None

    @property
    def total(self) -> PlannedTotal:
        """The sum of the parts."""
        known = [(part.kind, part.seconds) for part in self.parts if part.seconds is not None]
        low, likely, high = (
            sum(getattr(each, name) for _, each in known) for name in ("low", "likely", "high")
        )
        # Every GPU of the machine attacks; a training and a surface use one.
        used = [(self.gpus if kind == "attack" else 1, each) for kind, each in known]
        hours = tuple(
            sum(number * getattr(each, name) for number, each in used) / 3600
            for name in ("low", "high")
        )
        return PlannedTotal(
            low=low,
            likely=likely,
            high=high,
            unknown=len(self.parts) - len(known),
            gpu_hours=(hours[0], hours[1]) if self.gpu else None,
        )


def merged(plans: Sequence[Plan]) -> Plan:
    """Return several plans on one device as one; a part that several need counts once."""
    first = plans[0]
    parts = {part.key: part for plan in plans for part in plan.parts}
    cells = tuple(cell for plan in plans for cell in plan.cells)
    return first.model_copy(update={"cells": cells, "parts": tuple(parts.values())})


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def plan_with_costs(
    request: EvaluationRequest, report: Reporter | None = None, *, measure: bool = False
) -> Plan:
    """Return what ``evaluate`` would do, and an estimate of what it would take.

    Args:
        request: the evaluation.
        report: receives what was chosen or guessed.
        measure: whether forward passes and training steps are measured where nothing is known.
            They take some seconds for each encoder and task.

    Raises:
        UsageError: see ``plan``.
    """
    resolved = resolve_quietly(request, report)
    cells = planned_cells(request, resolved, report)
    works = list(_works(request, resolved, iter(cells)))
    if measure:
        from robench.evaluation.cost_measure import measure_missing

        measure_missing([work for *_, work in works], resolved, report)
    return _assembled(request, resolved, cells, works, cost_log().read())


def _assembled(
    request: EvaluationRequest,
    resolved: ResolvedRequest,
    cells: Sequence[PlannedCell],
    works: Iterable[tuple[str, str, Work]],
    log: Sequence[Done],
) -> Plan:
    """Return the plan with an estimate of each part."""
    device = describe_device(resolved.device)
    past = PastEstimates.of(log, device)
    parts = {
        key: _part(key, title, work, estimate(work, log, published_counts(), request.budget))
        for key, title, work in works
    }
    return Plan(
        cells=tuple(cells),
        parts=tuple(parts.values()),
        device=device,
        gpu=resolved.device.startswith(("cuda", "mps")),
        gpus=len(devices_of(resolved.device)),
        past=None
        if past is None
        else PastFactors(
            parts=past.parts,
            median_factor=past.median_factor,
            worst_factor=past.worst_factor,
            inside=past.inside,
        ),
    )


def _part(key: str, title: str, work: Work, found: Estimate) -> PlannedPart:
    return PlannedPart(
        kind=work.kind,
        title=title,
        key=key,
        queries=_planned(found.asked),
        rows=_planned(found.rows),
        seconds=_planned(found.seconds),
    )


def _planned(found: Range | None) -> PlannedRange | None:
    if found is None:
        return None
    return PlannedRange(low=found.low, likely=found.likely, high=found.high, source=found.source)


def _works(
    request: EvaluationRequest, resolved: ResolvedRequest, cells: Iterator[PlannedCell]
) -> Iterator[tuple[str, str, Work]]:
    """Yield key, title and work of each part, in the order of the run.

    Args:
        request: the evaluation.
        resolved: the same with its data.
        cells: what ``planned_cells`` returned.
    """
    scorer = "none" if resolved.scorer is None else resolved.scorer.identity
    for task in resolved.tasks:
        sizes = _Sizes(resolved, task)
        for victim in task.victims:
            title = f"{victim.label} on {task.name}, seed {victim.seed}"
            if isinstance(victim, TrainedVictim) and victim.state(request) == "train":
                yield f"training {victim.key}", f"training of {title}", training_work(victim)
            attacks = resolved.attacks_on(victim)
            if not resolved.attacks:
                next(cells)
            for test in task.tests:
                for attack in attacks:
                    cell = next(cells)
                    name, left = attack.substitutions, cell.total - cell.done
                    if cell.surface == "build":
                        yield (
                            f"surface {resolved.surface_request(task, test, name).key}",
                            _surface_title(test, name),
                            surface_work(test, name, scorer, resolved.device, sizes(test, name)),
                        )
                    if left:
                        work = attack_work(request, victim, test, attack, left, sizes(test, name))
                        yield (
                            f"attack {victim.key} {test.digest} {attack.label} {victim.seed}",
                            _attack_title(victim, test, attack.label),
                            work,
                        )


def _surface_title(test: ResolvedTest, name: str) -> str:
    return f"surface of {test.title}" + (
        f", substitutions {test.source(name).name}" if name else ""
    )


def _attack_title(victim: ResolvedVictim, test: ResolvedTest, attack: str) -> str:
    """Return the title of a cell, as the run shows it."""
    return f"{victim.label} with {attack} on {test.other or test.task}, seed {victim.seed}"


class _Sizes:
    """The size of the texts of each test set with each substitution set, computed once."""

    def __init__(self, resolved: ResolvedRequest, task: ResolvedTask) -> None:
        self._resolved, self._task = resolved, task
        self._known: dict[tuple[str, str], TextSize] = {}

    def __call__(self, test: ResolvedTest, name: str) -> TextSize:
        """Return the size of the texts of a test set with a substitution set."""
        key = (test.digest, name)
        if key not in self._known:
            field, protocol = self._task.task.attackable, self._resolved.protocol
            self._known[key] = TextSize.sampled(test, name, field, protocol)
        return self._known[key]
