"""Send the result of a cell to the trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench._base.escaping import NAME, one_line
from robench.records.rates import rates
from robench.records.run_folder import RunFolder
from robench.training.tracking import Tracking, Value

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.records.record import Record


def track_cell(request: EvaluationRequest, record: Record, report: Reporter) -> None:
    """Send one summary of a cell: its rates, its queries and its number of examples.

    Each cell is a run of its own. Rates that do not exist are left out.
    """
    if not request.trackers:
        return
    config: dict[str, Value] = {
        "task": one_line(record.task.name, NAME),
        "victim": one_line(record.row, NAME),
        "attack": one_line(record.attack.label, NAME),
        "seed": record.search.seed,
    }
    folder = RunFolder(request.out).curves / record.cell_name
    tracking = Tracking(request.trackers, folder, config, report.message)
    known = {name: value for name, value in rates(record).items() if value is not None}
    tracking.log({**known, "queries": record.cost.asked, "examples": record.counts.n}, step=0)
    tracking.finish()
