"""Why a record cannot reach a board, so that it is not packed."""

from __future__ import annotations

from collections.abc import Mapping

from robench._base.errors import RobenchError
from robench.records.invented_names import label_problems
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.trial_texts import join_trials


def refusals(folder: RunFolder, records: Mapping[str, Record]) -> dict[str, str]:
    """Return the records that no board takes: file name -> one sentence with the remedy."""
    found = {}
    for name, record in records.items():
        reason = refusal(folder, record)
        if reason is not None:
            found[name] = reason
    return found


def refusal(folder: RunFolder, record: Record) -> str | None:
    """Return why no board takes a record, as one sentence; None where one may."""
    if record.limit is not None:
        return (
            f"Only {record.counts.n} of {record.task.examples} examples were judged (--limit). "
            "Run the same command without --limit."
        )
    if record.counts.error:
        return (
            f"{record.counts.error} of {record.counts.n} examples ended in an error. Run the same "
            "command again, which attacks them again."
        )
    if record.software.foreign_code:
        return (
            "Code of a model's folder ran (--trust-remote-code), and it could change every result. "
            "Save the model in a form that needs no such code, and evaluate that."
        )
    if invented := label_problems(record):
        return f"Its names are not those of a run: {invented[0]}."
    try:
        join_trials(folder, record)
    except RobenchError as error:
        return str(error)
    return None
