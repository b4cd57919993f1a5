"""Which records of a folder are claims whose trials are missing or do not fit, for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robench._base.errors import RobenchError
from robench.records.judged_ids import judged_ids
from robench.records.marks import Marks, marks_in
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.trials_agree import disagreement

MISSING = "the trials are missing"
"""What is said of a record without a file of trials."""


def trial_problems(folder: RunFolder, records: Mapping[str, Record]) -> dict[str, str]:
    """Return name of a file -> why the trials do not show that the record is right.

    1000 trials take some milliseconds. Of records before schema 6, only the letters are compared.

    Args:
        folder: the folder of the run.
        records: name of a file -> record.
    """
    found = {name: _problem(folder, record) for name, record in records.items()}
    return {name: problem for name, problem in found.items() if problem is not None}


def _problem(folder: RunFolder, record: Record) -> str | None:
    if not folder.trials_file(record.cell_name).exists():
        return MISSING
    try:
        if disagreement(folder, record) is None:
            return None
        # A record of fewer examples than the file has: only the texts say which ones they are.
        return disagreement(folder, record, judged_ids(folder.root, record) or None)
    except RobenchError as error:
        return str(error)


def checked_marks(folder: RunFolder, records: Mapping[str, Record]) -> Marks:
    """Return what ``robench verify`` and the trials say of the records in a run's folder.

    Args:
        folder: the folder of the run.
        records: name of a file in its folder of records -> record.
    """
    found = marks_in(folder.records, records)
    return Marks(found.names, found.problem, trial_problems(folder, records))


def marks_of(folder: RunFolder, records: Sequence[Record]) -> Marks:
    """Return the marks of records that lie in the folder under their own names."""
    return checked_marks(folder, {record.file_name: record for record in records})
