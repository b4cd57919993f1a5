"""The trials of a record on the disk, with what is damaged in their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.trials_agree import disagreement, trial_file_of
from robench.search.attack import Trial


class MissingTrials(RobenchError):
    """The trials of a record are in none of the folders."""


@dataclass(frozen=True)
class StoredTrials:
    """The trials of a record, as its file holds them.

    Attributes:
        path: the file.
        trials: id -> trial, in the order of the file.
        damage: which lines of the file are damaged and were skipped, as a clause; empty without
            damage. A run that went on after the damage attacked their examples again, so nothing
            need be missing.
    """

    path: Path
    trials: Mapping[str, Trial]
    damage: str = ""

    def lost(self, wanted: Sequence[str]) -> str | None:
        """Return which of the ids have no trial and why, as a clause; None where all have one."""
        gone = [each for each in wanted if each not in self.trials]
        if not gone:
            return None
        if not self.damage:
            return f"{len(gone)} of {len(wanted)} trials are missing, the first for {gone[0]}"
        return (
            f"{len(gone)} of {len(wanted)} trials cannot be used, the first for {gone[0]}: in "
            f"{self.path.name}, {self.damage}"
        )


def read_trials(path: Path, record: Record) -> StoredTrials:
    """Return the trials of the record's cell; none without a file.

    Raises:
        RobenchError: the file cannot be read, or holds the trials of another cell.
    """
    file = trial_file_of(path, record)
    trials = {trial.id: trial for trial in file.read()}
    return StoredTrials(path, trials, file.which_damage)


def find_trials(
    record: Record, folders: Sequence[RunFolder], ids: Sequence[str] | None = None
) -> StoredTrials:
    """Return the trials of a record; see ``folder_of_trials``.

    Raises:
        MissingTrials: no folder has them.
        RobenchError: they cannot be read.
    """
    folder = folder_of_trials(record, folders, ids)
    return read_trials(folder.trials_file(record.cell_name), record)


def folder_of_trials(
    record: Record, folders: Sequence[RunFolder], ids: Sequence[str] | None = None
) -> RunFolder:
    """Return the first folder whose trials fit a record; else the first that has its file.

    A run that was not finished has fewer trials, and another run of the same cell has other ones.

    Args:
        record: the record.
        folders: folders of runs.
        ids: ids of the judged examples, where they are known; see ``disagreement``.

    Raises:
        MissingTrials: no folder has such a file.
    """
    having = [each for each in folders if each.trials_file(record.cell_name).exists()]
    if not having:
        places = " and ".join(str(folder.trials) for folder in folders)
        raise MissingTrials(
            f"its trials are missing: there is no {record.cell_name}.jsonl in {places}"
        )
    if len(having) == 1:
        return having[0]
    return next((each for each in having if _fits(record, each, ids)), having[0])


def _fits(record: Record, folder: RunFolder, ids: Sequence[str] | None) -> bool:
    try:
        if disagreement(folder, record) is None:
            return True
        # A record of fewer examples than the file has: only the texts say which ones they are.
        return ids is not None and disagreement(folder, record, ids) is None
    except RobenchError:
        return False
