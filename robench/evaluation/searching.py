"""Search the examples of a cell, in this process or in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from robench.evaluation.backends.local import LocalBackend
from robench.evaluation.device_sharing import decide_sharing
from robench.evaluation.time_limit import remark_of_limit
from robench.plugins.registry import IN_PROCESS
from robench.search.attack import Trial
from robench.search.registry import ATTACKS

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.cell import Cell
    from robench.evaluation.resolved import ResolvedAttack
    from robench.search.jobs import Job
    from robench.tasks.example import Example


def search_examples(cell: Cell, todo: Sequence[Example], report: Reporter) -> Iterator[Trial]:
    """Return the trials of ``todo`` as they finish, from this process or from workers."""
    from robench.models.watched_attributes import load_watched
    from robench.search.engine import run
    from robench.search.jobs import make_jobs
    from robench.search.packing import choose_shapes
    from robench.search.workers import WorkerPlan

    victim, attack = cell.victim.victim, cell.attack
    backend = cell.backend or LocalBackend(cell.request, report)
    threshold = cell.protocol.lm_threshold
    jobs = make_jobs(
        todo,
        cell.surface,
        victim,
        constrained=attack.constrained,
        threshold=threshold,
        without=cell.removed,
    )
    settings = replace(
        cell.request.search_settings(cell.resolved.seed, cell.resolved.device),
        temperature=cell.victim.temperature or 1.0,
        example_seconds=cell.example_seconds,
    )
    shapes, remark = choose_shapes(victim, settings.precision, victim.vocabulary)
    if remark is not None:
        report.message(remark)
    workers = settings.workers or backend.workers(
        settings.device,
        len(todo),
        victim.row_cost([example.fields for example in todo]),
        victim.parameter_bytes,
    )
    load = cell.victim.obtained.load
    limited = remark_of_limit(cell.request.example_seconds, attack)
    if limited is not None:
        report.message(limited)
    alone = _why_one_process(cell)
    if alone is not None and (settings.workers or 1) > 1:
        report.message(f"{alone}, so --workers has no effect.")
    if alone is not None and not backend.may_stay_here:
        report.message(f"{alone}, so --backend {cell.request.backend} has no effect on it.")
    shared = decide_sharing(cell, workers if alone is None else 1, possible=backend.shares_devices)
    if shared.sentence is not None:
        report.message(shared.sentence)
    # The code of others runs where it cannot end this process.
    here = workers == 1 and attack.built_in and backend.may_stay_here
    if load is None or alone is not None or here:
        search = partial(run, victim, attack.attack, attack.registered, settings=settings)
        return _searched_here(partial(search, shapes=shapes), jobs, attack)
    source, name = cell.victim.obtained.source, attack.registered
    # robench's own attacks change no victim, which is tested.
    watched = load if attack.built_in else partial(load_watched, load)
    plan = WorkerPlan(source, name, attack.options, settings, shapes, watched, shared.sharing)
    return backend.search(plan, jobs, workers, report.message)


def _searched_here(
    search: Callable[..., Iterator[Trial]], jobs: Iterator[Job], attack: ResolvedAttack
) -> Iterator[Trial]:
    """Return the trials of ``jobs`` from this process.

    Raises:
        KeepsState: the code of others gave an example another trial the second time.
    """
    from robench.search.repeats import Repeats

    if attack.built_in:
        yield from search(jobs=jobs)
        return
    repeats = Repeats(attack.registered)
    for trial in search(jobs=repeats.jobs(jobs)):
        repeats.note(trial)
        yield trial
    repeats.check(lambda again: search(jobs=again))


def _why_one_process(cell: Cell) -> str | None:
    """Return why worker processes cannot make this search, or None where they can."""
    if cell.victim.obtained.load is None:
        return "A function runs in this process only"
    if ATTACKS.origin(cell.attack.registered) == IN_PROCESS:
        return f"Attack '{cell.attack.registered}' was registered in this process only"
    return None
