"""Make the record of a cell from its trials and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robench
from robench._base.code_hash import source_sha256
from robench._base.environment import describe_device, peak_memory, versions
from robench._base.errors import RobenchError
from robench._base.key_code import TRIAL_CODE
from robench.results.record import LETTERS, Record, count, digest_of_ids
from robench.results.record_files import read_record, write_record

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.cell import CellRun
    from robench.search.attack import Trial


def save_record(cell: CellRun, trials: Sequence[Trial], fresh: bool, report: Reporter) -> Record:
    """Write the record, unless nothing was attacked and the one that is there says the same: its date and its cost are the true ones."""
    record = _assemble(cell, trials, fresh)
    path = cell.request.out / "records" / record.file_name
    known = _readable(path, report) if path.exists() else None
    if known is not None and not fresh and _same(known, record):
        return known
    write_record(path, record)
    return record


def _assemble(cell: CellRun, trials: Sequence[Trial], fresh: bool) -> Record:
    fit, attack = cell.chosen.fit, cell.attack
    outcomes = "".join(LETTERS[trial.verdict] for trial in trials)
    return Record.model_validate(
        {
            "cell": cell.key,
            "task": _task(cell),
            **_victim(cell),
            "attack": {
                "name": attack.name,
                "label": attack.label,
                "options": attack.options,
                "code_sha256": attack.code_sha256,
            },
            "protocol": asdict(fit.protocol),
            **_search(cell),
            "limit": cell.inputs.limit,
            "outcomes": outcomes,
            "ids_digest": digest_of_ids(trial.id for trial in trials),
            "counts": count(outcomes),
            "disbelieved": sum(trial.disbelieved for trial in trials),
            "cost": _cost(cell, trials, fresh),
            "software": {
                "robench": robench.__version__,
                "versions": versions(),
                "device": describe_device(fit.device),
            },
            "created": datetime.now(UTC).replace(microsecond=0),
        }
    )


def _task(cell: CellRun) -> dict[str, Any]:
    splits = cell.inputs.splits
    return {
        "name": cell.inputs.name,
        "test_name": splits.test_name,
        "digest": splits.digest,
        "examples": len(splits.test),
        "train_pool": splits.train_pool,
        "synthetic": cell.inputs.task.synthetic,
    }


def _victim(cell: CellRun) -> dict[str, dict[str, Any]]:
    """The record's parts on the victim."""
    fit, victim = cell.chosen.fit, cell.trained.victim
    made_from = victim.card["ingredients"]
    return {
        "encoder": {"name": fit.encoder_label, "sha256": made_from["encoder_sha256"]},
        "defense": {
            "name": fit.defense,
            "label": cell.chosen.label,
            "options": fit.resolved.model_dump(mode="json"),
            "code_sha256": cell.chosen.code_sha256,
        },
        "victim": {
            "sha256": victim.sha256,
            "configuration": fit.key,
            "training_code_sha256": made_from["code"]["training"],
            "precision": fit.precision,
            "findings": cell.trained.findings,
        },
    }


def _search(cell: CellRun) -> dict[str, dict[str, Any]]:
    """The record's parts on where and how it was searched."""
    return {
        "surface": {
            "key": cell.surface.key,
            "language_model": cell.language_model,
            "constrained": cell.attack.constrained and cell.language_model != "none",
            "outside": cell.attack.attack.outside,
        },
        "search": {
            "code_sha256": source_sha256(*TRIAL_CODE),
            "seed": cell.chosen.fit.seed,
            "budget": cell.request.budget,
            "precision": cell.request.search_precision,
        },
    }


def _cost(cell: CellRun, trials: Sequence[Trial], fresh: bool) -> dict[str, Any]:
    memory, no_memory = (
        peak_memory(cell.chosen.fit.device)
        if fresh
        else (None, "every trial was there from an earlier run")
    )
    missing = {"training_seconds": cell.trained.unknown, "peak_memory_bytes": no_memory}
    return {
        "training_seconds": cell.trained.seconds,
        "attack_seconds": round(sum(trial.seconds for trial in trials), 3),
        "asked": sum(trial.asked for trial in trials),
        "forwarded": sum(trial.forwarded for trial in trials),
        "peak_memory_bytes": memory,
        "missing": {name: reason for name, reason in missing.items() if reason},
    }


def _same(known: Record, record: Record) -> bool:
    """Whether they differ in what was measured and when at most."""
    return (
        known.model_copy(
            update={"cost": record.cost, "software": record.software, "created": record.created}
        )
        == record
    )


def _readable(path: Path, report: Reporter) -> Record | None:
    """The record in ``path``; one that cannot be read is put aside, for somebody may want to see what became of it."""
    try:
        return read_record(path)
    except RobenchError:
        aside = path.with_name(f"{path.name}.unreadable")
        path.replace(aside)
        report.message(
            f"The record {path} could not be read: it is made anew from its trials, and the old one is kept as {aside.name}."
        )
        return None
