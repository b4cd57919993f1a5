"""The trials of a record on the disk, with what is damaged in their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.trials_agree import trial_file_of
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


def find_trials(record: Record, folders: Sequence[RunFolder]) -> StoredTrials:
    """Return the trials of a record; of several folders, of the first that has its file.

    Raises:
        MissingTrials: no folder has them.
        RobenchError: they cannot be read.
    """
    for folder in folders:
        path = folder.trials_file(record.cell_name)
        if path.exists():
            return read_trials(path, record)
    places = " and ".join(str(folder.trials) for folder in folders)
    raise MissingTrials(f"its trials are missing: there is no {record.cell_name}.jsonl in {places}")
