"""Write what a run finds: the record of a cell, the cards of its victims, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench._base.files import write_text
from robench._base.reporting import Reporter
from robench._base.waiting import Patience, alone
from robench.evaluation.cell import Cell
from robench.evaluation.cell_trials import complete_trials
from robench.evaluation.record_assembly import assemble_record, measure_cost, save_record
from robench.evaluation.resolved_victims import ResolvedVictim, TrainedVictim
from robench.evaluation.tracking import track_cell
from robench.models.victim_folder import checked_card
from robench.records.certificate_files import find_certificates
from robench.records.leaderboard import render_run
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.transfer_flags import read_transferred
from robench.records.trial_marks import KnownRun, checked_marks
from robench.search.attack import Verdict
from robench.sharing.model_card import is_ours, read_records_for, write_model_card

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.records.record import Record
    from robench.records.record_dates import RunClock


def evaluate_cell(cell: Cell, report: Reporter, clock: RunClock) -> Record:
    """Attack the examples that have no trial yet, and write and return the record.

    Raises:
        RobenchError: the disk is full, or trials are missing afterwards.
    """
    trials, new = complete_trials(cell, report)
    errors = [trial for trial in trials if trial.verdict == Verdict.ERROR]
    if errors:
        report.message(
            f"{len(errors)} of {len(trials)} examples ended in an error. The first is "
            f"{errors[0].id}: {errors[0].problem}"
        )
    cost = measure_cost(cell, trials, new_trials=new)
    record = assemble_record(cell, trials, cost, clock.now())
    path = RunFolder(cell.request.out).records / record.file_name
    saved = save_record(path, record, new_trials=new, report=report)
    # Finished cells were sent when they were finished.
    if new:
        track_cell(cell.request, saved, report)
    return saved


def write_card_of(request: EvaluationRequest, resolved: ResolvedVictim, report: Reporter) -> None:
    """Write the model card of a victim of this run; other victims' folders are left alone.

    The victim has its results without a card, so a card that cannot be written is a message.
    """
    if not isinstance(resolved, TrainedVictim):
        return
    folder = resolved.folder(request)
    try:
        card = checked_card(folder)
        if is_ours(folder):
            records = read_records_for(card, RunFolder(request.out).records).records
            write_model_card(folder, card, records.values())
    except (RobenchError, OSError) as error:
        report.message(
            f"The model card of {folder.name} was not written: {str(error).rstrip('.')}. The "
            f"results are kept, and 'robench card {folder}' writes the card later."
        )


def write_leaderboard(out: Path, report: Reporter, known: KnownRun | None = None) -> None:
    """Write the table of all records of a run's folder, one run after another.

    A run that read the records before another run wrote its own must not write its table last.

    Args:
        out: the folder of the run.
        report: receives a message if another run writes its table.
        known: what an earlier call read.
    """
    folder = RunFolder(out)
    # The other run needs a moment for its table, so this run waits even with --wait 0.
    who = f"Another run is writing '{folder.leaderboard}'."
    patience = Patience(None, report.message)
    with alone(folder.leaderboard.with_suffix(".lock"), who, patience):
        write_text(folder.leaderboard, _rendered(folder, known or KnownRun()))


def _rendered(folder: RunFolder, known: KnownRun) -> str:
    found = find_records(folder.records, known.records)
    return render_run(
        found,
        find_certificates(folder.certificates),
        read_transferred(folder.transfer),
        checked_marks(folder, found.records, known.problems),
    )
