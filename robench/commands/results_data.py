"""The results of a run as plain data, for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import Incomplete

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.sweep import SweepRow
    from robench.records.record import Record
    from robench.records.shard_part import ShardPart


def failed_parts(failure: Incomplete | None) -> list[dict[str, Any]]:
    """Return the parts of a run that failed, by reason; an empty list where none did."""
    failed = {} if failure is None else failure.failed
    return [{"reason": reason, "parts": list(parts)} for reason, parts in failed.items()]


def evaluation_data(records: Sequence[Record], out: Path) -> dict[str, Any]:
    """Return the cells of an evaluation, and where its files are.

    Returns:
        ``{"cells": […], "flags": […], "leaderboard": path, "records": path}``, with ``cell_data``
        per cell, and one ``Flag`` for results that do not fit together.
    """
    from robench.records.leaderboard import flags_of
    from robench.records.run_folder import RunFolder
    from robench.records.transfer_flags import read_transferred

    folder = RunFolder(out)
    return {
        "cells": [cell_data(record, folder.records) for record in records],
        "flags": flags_of(
            {record.file_name: record for record in records}, read_transferred(folder.transfer)
        ),
        "leaderboard": folder.leaderboard,
        "records": folder.records,
    }


def cell_data(record: Record, records: Path) -> dict[str, Any]:
    """Return the figures of one cell.

    Rates lie in [0, 1]. A rate is None where examples ended in an error, and the success rate also
    where no example was attacked.
    """
    from robench.records.rates import rates

    return {
        "task": record.task.name,
        "victim": record.row,
        "attack": record.attack.label,
        "seed": record.search.seed,
        "protocol": record.protocol.name,
        "examples": record.counts.n,
        "limit": record.limit,
        **rates(record),
        "counts": record.counts,
        "queries": record.cost.asked,
        "attack_seconds": record.cost.attack_seconds,
        "training_seconds": record.cost.training_seconds,
        "record": records / record.file_name,
    }


def shard_data(request: EvaluationRequest, parts: Sequence[ShardPart]) -> dict[str, Any]:
    """Return what a shard has finished, and where its files are.

    Returns:
        ``{"shard": "1/4", "cells": […], "folder": path}``. A cell of a shard has no rates.
    """
    own = request.own_folder
    cells = [
        {
            "task": part.task.name,
            "victim": part.row,
            "attack": part.attack.label,
            "seed": part.search.seed,
            "limit": part.limit,
            "queries": part.cost.asked,
            "trials": own.trials_file(part.cell_name),
        }
        for part in parts
    ]
    return {"shard": str(request.shard), "cells": cells, "folder": own.root}


def sweep_data(rows: Sequence[SweepRow], records: Sequence[Record], out: Path) -> dict[str, Any]:
    """Return the rows of a sweep's table beside ``evaluation_data`` of all its points."""
    table = [
        {
            "defense": row.defense,
            "options": dict(row.values),
            "seeds": list(row.scores.seeds),
            "examples": row.scores.examples,
            "clean_accuracy": _mean(row.scores.clean),
            "under": {name: _mean(row.scores.under[label]) for name, label in row.attacks.items()},
            "worst_case": _mean(row.scores.worst),
            "distances": list(row.distances),
        }
        for row in rows
    ]
    return {"rows": table, **evaluation_data(records, out)}


def _mean(score: Any) -> float | None:
    """Return the mean of a score over the seeds; None for a gap."""
    return getattr(score, "mean", None)
