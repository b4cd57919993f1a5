"""Assemble the record of a cell from its parts, and save it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import robench
from robench._base.code_hash import source_sha256
from robench._base.environment import describe_device, peak_memory, versions
from robench._base.errors import RobenchError
from robench._base.key_code import TRIAL_CODE
from robench.records.record import (
    LETTERS,
    CostPart,
    EncoderPart,
    PluginPart,
    Record,
    SearchPart,
    SoftwarePart,
    SurfacePart,
    TaskPart,
    VictimPart,
    count,
    digest_of_ids,
)
from robench.records.record_files import read_record, write_record
from robench.search.attack import Trial

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.cell import Cell
    from robench.evaluation.resolve import ResolvedAttack, ResolvedTask
    from robench.evaluation.victims import TrainedVictim


def assemble_record(cell: Cell, trials: Sequence[Trial], cost: CostPart) -> Record:
    """Return the record of ``cell``.

    Args:
        cell: the cell.
        trials: one trial per example, in the order of the examples.
        cost: what the cell cost.
    """
    outcomes = "".join(LETTERS[trial.verdict] for trial in trials)
    return Record(
        cell=cell.key,
        task=_task_part(cell.task),
        encoder=_encoder_part(cell.victim),
        defense=_defense_part(cell.victim),
        attack=_attack_part(cell.attack),
        protocol=cell.fit.protocol,
        victim=_victim_part(cell.victim),
        surface=_surface_part(cell),
        search=_search_part(cell),
        limit=cell.task.limit,
        outcomes=outcomes,
        ids_digest=digest_of_ids(trial.id for trial in trials),
        counts=count(outcomes),
        disbelieved=sum(trial.disbelieved for trial in trials),
        cost=cost,
        software=SoftwarePart(
            robench=robench.__version__,
            versions=versions(),
            device=describe_device(cell.fit.device),
        ),
        created=datetime.now(UTC).replace(microsecond=0),
    )


def _task_part(task: ResolvedTask) -> TaskPart:
    splits = task.splits
    return TaskPart(
        name=task.name,
        test_name=splits.test_name,
        digest=splits.digest,
        examples=len(splits.test),
        train_pool=splits.train_pool,
        synthetic=task.task.synthetic,
    )


def _encoder_part(trained: TrainedVictim) -> EncoderPart:
    return EncoderPart(
        name=trained.resolved.fit.encoder_label,
        sha256=trained.victim.card["ingredients"]["encoder_sha256"],
    )


def _defense_part(trained: TrainedVictim) -> PluginPart:
    fit = trained.resolved.fit
    return PluginPart(
        name=fit.defense,
        label=trained.resolved.label,
        options=fit.resolved.model_dump(mode="json"),
        code_sha256=trained.resolved.code_sha256,
    )


def _attack_part(attack: ResolvedAttack) -> PluginPart:
    return PluginPart(
        name=attack.name,
        label=attack.label,
        options=attack.options,
        code_sha256=attack.code_sha256,
    )


def _victim_part(trained: TrainedVictim) -> VictimPart:
    fit = trained.resolved.fit
    return VictimPart(
        kind="trained",
        sha256=trained.victim.sha256,
        configuration=fit.key,
        # From the card, because an earlier run may have trained the victim.
        training_code_sha256=trained.victim.card["ingredients"]["code"]["training"],
        precision=fit.precision,
        findings=trained.findings,
    )


def _surface_part(cell: Cell) -> SurfacePart:
    return SurfacePart(
        key=cell.surface.key,
        language_model=cell.language_model,
        constrained=cell.attack.constrained and cell.language_model != "none",
        outside=cell.attack.attack.outside,
    )


def _search_part(cell: Cell) -> SearchPart:
    return SearchPart(
        code_sha256=source_sha256(*TRIAL_CODE),
        seed=cell.fit.seed,
        budget=cell.request.budget,
        precision=cell.request.search_precision,
    )


def measure_cost(cell: Cell, trials: Sequence[Trial], *, new_trials: bool) -> CostPart:
    """Return what the cell cost.

    Args:
        cell: the cell.
        trials: the trials of all its examples.
        new_trials: whether this run made any of them. Otherwise this process's memory says
            nothing about the search.
    """
    if new_trials:
        memory, no_memory = peak_memory(cell.fit.device)
    else:
        memory, no_memory = None, "every trial was there from an earlier run"
    missing: dict[str, str] = {}
    if cell.victim.no_seconds:
        missing["training_seconds"] = cell.victim.no_seconds
    if no_memory:
        missing["peak_memory_bytes"] = no_memory
    return CostPart(
        training_seconds=cell.victim.training_seconds,
        attack_seconds=round(sum(trial.seconds for trial in trials), 3),
        asked=sum(trial.asked for trial in trials),
        forwarded=sum(trial.forwarded for trial in trials),
        peak_memory_bytes=memory,
        missing=missing,
    )


def save_record(path: Path, record: Record, *, new_trials: bool, report: Reporter) -> Record:
    """Write ``record`` to ``path`` and return it, unless the file already says the same.

    If this run attacked nothing and the record in the file has the same content, the file is
    kept and its record returned: its date and cost are those of the run that did the work.

    Raises:
        RobenchError: the file cannot be written.
    """
    known = _read_or_set_aside(path, report) if path.exists() else None
    if known is not None and not new_trials and _same_content(known, record):
        return known
    write_record(path, record)
    return record


def _same_content(known: Record, record: Record) -> bool:
    """Return whether the records differ at most in cost, software and date."""
    measured = {"cost": record.cost, "software": record.software, "created": record.created}
    return known.model_copy(update=measured) == record


def _read_or_set_aside(path: Path, report: Reporter) -> Record | None:
    """Return the record in ``path``, or None if it cannot be read.

    A damaged file is renamed and not deleted, so that a person can look at it.
    """
    try:
        return read_record(path)
    except RobenchError:
        aside = path.with_name(f"{path.name}.unreadable")
        path.replace(aside)
        report.message(
            f"The record {path} could not be read. It is made again from its trials, and the old "
            f"file is kept as {aside.name}."
        )
        return None
