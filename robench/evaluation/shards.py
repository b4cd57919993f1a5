"""One shard of a run on many machines: its trials, and no record.

A part of a cell is no cell. So the trials of a shard lie in a folder of their own
(``shards/1-of-4``), where no table looks. When all examples of the shard have a trial, a part says
what the shard knows of the cell (``robench.records.shard_part``). ``merging`` makes the records.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench._base.hub import no_pointless_retries
from robench._base.no_exit import without_exits
from robench.evaluation.cell_trials import complete_trials
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.fresh_draws import fresh_draws
from robench.evaluation.record_assembly import (
    measure_cost,
    parts_of_cell,
    software_part,
    unknown_of,
    victim_part,
)
from robench.evaluation.run import carry_out
from robench.records.record import digest_of_ids
from robench.records.shard_part import FreshText, ShardPart, read_part, write_part
from robench.records.trials_part import TrialsPart, digest_of_trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench._base.reporting import Reporter
    from robench.evaluation.cell import Cell
    from robench.evaluation.request import EvaluationRequest
    from robench.search.attack import Trial


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def evaluate_shard(request: EvaluationRequest, report: Reporter) -> list[ShardPart]:
    """Attack the examples of one shard in every cell of ``request``.

    Finished work is on disk. If the run is interrupted, the same call continues it.

    Args:
        request: the evaluation, with a ``shard``.
        report: receives the progress.

    Returns:
        What the shard knows of each cell.

    Raises:
        UsageError, Incomplete, RobenchError: see ``robench.evaluation.run.evaluate``.
    """
    return carry_out(request, report, partial(_finish, report=report))


def _finish(cell: Cell, report: Reporter) -> ShardPart:
    """Attack the examples of the shard that have no trial yet, and write and return its part."""
    shard = cell.request.shard
    assert shard is not None
    trials, new = complete_trials(cell, report)
    errors = [trial for trial in trials if trial.verdict == "error"]
    if errors:
        report.message(
            f"{len(errors)} of {len(trials)} examples of shard {shard} ended in an error. The "
            f"first is {errors[0].id}: {errors[0].problem}"
        )
    part = _part_of(cell, trials, new=new)
    path = cell.request.own_folder.parts / part.file_name
    known = _readable(path)
    # Its date and cost are those of the run that did the work.
    if known is not None and not new and _same_content(known, part):
        return known
    write_part(path, part)
    return part


def _part_of(cell: Cell, trials: Sequence[Trial], *, new: bool) -> ShardPart:
    shard, examples = cell.request.shard, cell.examples
    assert shard is not None
    asked_again = fresh_draws(cell.victim.victim, trials, examples)
    return ShardPart(
        of=shard.of,
        number=shard.number,
        **parts_of_cell(cell),
        victim=victim_part(cell),
        ids_digest=digest_of_ids(example.id for example in cell.test.examples),
        unknown=unknown_of(cell, trials, examples),
        fresh_texts=None
        if asked_again is None
        else tuple(FreshText(id=id_, fooled=fooled) for id_, fooled in asked_again),
        trials=TrialsPart(sha256=digest_of_trials(trials, cell.key)),
        cost=measure_cost(cell, trials, new_trials=new),
        software=software_part(cell.resolved),
        created=datetime.now(UTC).replace(microsecond=0),
    )


def _readable(path: Path) -> ShardPart | None:
    """Return the part in ``path``; None where there is none that can be read."""
    try:
        return read_part(path)
    except RobenchError:
        return None


def _same_content(known: ShardPart, part: ShardPart) -> bool:
    """Return whether the parts differ at most in cost, software and date."""
    measured = {"cost": part.cost, "software": part.software, "created": part.created}
    return known.model_copy(update=measured) == part
