"""Compare the records of a board with their trials; no victim is asked and no torch imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.records.board import load_board, records_folder
from robench.records.judged_ids import find_test_set
from robench.records.record import Record
from robench.records.record_files import KnownRecords, find_records
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import MissingTrials, find_trials, folder_of_trials
from robench.records.test_set import TestSet
from robench.records.trial_texts import ids_of_judged, impossible_trials
from robench.records.trials_agree import disagreement
from robench.records.verified import verified_names
from robench.verification.claims import (
    differences_from_trials,
    in_order,
)


@dataclass(frozen=True)
class TrialCheck:
    """What the trials say of the records of a board.

    Attributes:
        agreeing: records whose trials are there and agree.
        missing: records whose trials are in none of the folders.
        problems: file name and difference, one sentence each.
    """

    agreeing: int
    missing: int
    problems: Sequence[str]

    @property
    def sentence(self) -> str:
        """How many records were compared."""
        text = f"{self.agreeing} records agree with their trials"
        return text + (f"; the trials of {self.missing} are not there" if self.missing else "")


def compare_with_trials(
    board: Path, runs: Sequence[Path], known: KnownRecords | None = None
) -> TrialCheck:
    """Compare each record of a board with its trials, where they are there.

    Letters, counts, curves and sums are computed again. Of a record that ``robench verify`` found
    good, as it is now, the letters and the digest of the trials are enough: its other numbers were
    computed from these trials.

    Args:
        board: the board's TOML file.
        runs: folders of runs with trials.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the board's file is wrong.
    """
    folders = [RunFolder(run) for run in runs]
    place = records_folder(board, load_board(board))
    found = find_records(place, known)
    verified = verified_names(place, found.records, found.records)
    problems = [f"{name}: {reason}" for name, reason in found.damaged.items()]
    texts: dict[tuple[str, str], TestSet | None] = {}
    agreeing = missing = 0
    for name, record in found.records.items():
        key = record.task.file_part, record.task.digest
        try:
            if name in verified and record.trials is not None:
                differences = _quick_differences(record, folders)
            else:
                if key not in texts:
                    texts[key] = _texts(folders, record)
                differences = _differences(record, folders, texts[key])
        except MissingTrials:
            missing += 1
            continue
        except RobenchError as error:
            differences = [str(error)]
        agreeing += not differences
        problems += [f"{name}: {each}" for each in differences]
    return TrialCheck(agreeing, missing, problems)


def _quick_differences(record: Record, folders: Sequence[RunFolder]) -> list[str]:
    """Return what the letters and the digest of the trials say of a record.

    Raises:
        MissingTrials: none of the folders has its trials.
        RobenchError: the trials cannot be read.
    """
    reason = disagreement(folder_of_trials(record, folders), record)
    return [] if reason is None else [reason]


def _texts(folders: Sequence[RunFolder], record: Record) -> TestSet | None:
    try:
        return find_test_set(folders, record.task)
    except RobenchError:
        return None


def _differences(record: Record, folders: Sequence[RunFolder], texts: TestSet | None) -> list[str]:
    ids = None if texts is None else ids_of_judged(texts, record)
    stored = find_trials(record, folders, ids)
    trials = in_order(record, stored, ids)
    if texts is None:
        return differences_from_trials(record, trials)
    found = differences_from_trials(record, trials, texts.texts)
    return [*found, *impossible_trials(trials, texts, record)]
