"""Which records of a folder are claims for a reason that is visible without a victim, for tables.

The trials are missing or do not fit, or a label is not that of its defense or attack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robench._base.errors import RobenchError
from robench.records.invented_names import label_problems
from robench.records.judged_ids import judged_ids
from robench.records.marks import Marks, marks_in
from robench.records.record import Record
from robench.records.record_files import KnownRecords
from robench.records.run_folder import RunFolder
from robench.records.trials_agree import disagreement

MISSING = "the trials are missing"
"""What is said of a record without a file of trials."""


class KnownProblems:
    """What was found of the trials last; only trials of files that changed are read again.

    A run makes its table after every cell, and most trials are then the same as before.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Record, tuple[object, ...], str | None]] = {}

    def problem(self, folder: RunFolder, record: Record) -> str | None:
        """Return why the trials of a record do not show that it is right, or None."""
        path = folder.trials_file(record.cell_name)
        texts = folder.examples_file(record.task.file_part, record.task.digest)
        stamp = tuple(map(_stamp, (path, texts)))
        place = folder.records / record.file_name
        known = self._known.get(place)
        # ``KnownRecords`` gives the same object again where the file of a record did not change.
        if known is None or known[0] is not record or known[1] != stamp:
            known = self._known[place] = (record, stamp, _problem(folder, record))
        return known[2]


@dataclass(frozen=True)
class KnownRun:
    """What was read of a run's folder for its last table.

    Attributes:
        records: its records.
        problems: what is wrong with their trials.
    """

    records: KnownRecords = field(default_factory=KnownRecords)
    problems: KnownProblems = field(default_factory=KnownProblems)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what tells whether a file was changed; None where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def trial_problems(
    folder: RunFolder, records: Mapping[str, Record], known: KnownProblems | None = None
) -> dict[str, str]:
    """Return name of a file -> why the trials do not show that the record is right.

    1000 trials take some milliseconds. Of records before schema 6, only the letters are compared.

    Args:
        folder: the folder of the run.
        records: name of a file -> record.
        known: what an earlier call found.
    """
    known = known or KnownProblems()
    found = {name: known.problem(folder, record) for name, record in records.items()}
    return {name: problem for name, problem in found.items() if problem is not None}


def _problem(folder: RunFolder, record: Record) -> str | None:
    if invented := label_problems(record):
        return invented[0]
    if not folder.trials_file(record.cell_name).exists():
        return MISSING
    try:
        found = disagreement(folder, record)
        if found is not None:
            # A record of fewer examples than the file has: only the texts say which ones they are.
            found = disagreement(folder, record, judged_ids(folder.root, record) or None)
    except RobenchError as error:
        found = str(error)
    # The folder is that of the table, and a moved folder keeps its table.
    return None if found is None else found.replace(f"{folder.root}/", "")


def checked_marks(
    folder: RunFolder, records: Mapping[str, Record], known: KnownProblems | None = None
) -> Marks:
    """Return what ``robench verify`` and the trials say of the records in a run's folder.

    Args:
        folder: the folder of the run.
        records: name of a file in its folder of records -> record.
        known: what an earlier call found.
    """
    found = marks_in(folder.records, records)
    return Marks(found.names, found.problem, trial_problems(folder, records, known))


def marks_of(folder: RunFolder, records: Sequence[Record]) -> Marks:
    """Return the marks of records that lie in the folder under their own names."""
    return checked_marks(folder, {record.file_name: record for record in records})
