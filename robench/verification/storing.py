"""Store what a verification found beside the records, one victim after the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import robench
from robench._base.errors import RobenchError
from robench._base.reporting import Silent
from robench.records.record import Record
from robench.records.verified import FILE_NAME, VerifiedRecord, read_verified, write_verified
from robench.verification.results import Report
from robench.verification.settings import VerificationSettings
from robench.verification.targets import Target
from robench.verification.work import FINDINGS, TASK

OF_DATA: Final = frozenset({TASK, FINDINGS})
"""Checks that need the data of the task, and that nobody can make who does not name them."""


class Store:
    """Writes ``verified.json`` of a target.

    Args:
        target: what is verified. Nothing is stored for an archive.
        settings: how much is checked.

    Attributes:
        stored: the file with the result, or None where nothing was stored.
        unstored: why something was not stored, or an empty text.
        kept: number of records that could not be checked whole now, and keep an earlier mark.
        lost: number of records that had a mark before, and lose it.
    """

    def __init__(self, target: Target, settings: VerificationSettings) -> None:
        self._target, self._settings = target, settings
        self._changed = False
        self.stored: Path | None = None
        self.unstored = "No record is verified, so nothing is stored."
        self.kept = self.lost = 0
        if not target.lasting:
            self.unstored = "An archive is not changed, so the result is not stored."

    def add(self, reports: Sequence[Report]) -> None:
        """Store which records are verified, and remove the entries of those that do not hold.

        A board's trials and victims come from many runs, and few of them are at hand. So a record
        of a board of which something could not be checked keeps the entry of an earlier
        verification. So does a record of a run of which only the data of its task were not named.
        A file under a wrong name never had an entry. The record whose copy it is keeps its own.
        """
        records = [each for each in reports if each.kind == "record"]
        held = {
            each.sha256: _entry(each, self._settings)
            for each in records
            if each.status == "verified"
        }
        loses = {each.sha256 for each in records if self._loses_mark(each) and _at_home(each)}
        folder = self._target.records
        marked = set(read_verified(folder).records)
        kept = {each.sha256 for each in records if each.status == "claimed"} - loses
        self.kept += len(kept & marked)
        self.lost += len((loses - set(held)) & marked)
        if not self._target.lasting or not (held or (loses and (folder / FILE_NAME).exists())):
            return
        # Noted before, because a signal may come right after the file is written.
        self._changed = True
        try:
            self.stored = write_verified(folder, held, loses - set(held))
            self.unstored = ""
        except (RobenchError, OSError) as error:
            self.stored, self.unstored = None, str(error)

    def _loses_mark(self, report: Report) -> bool:
        """Return whether an entry of an earlier verification does not stand any more."""
        if report.status != "claimed" or self._target.board is not None:
            return report.status == "failed"
        return any(each.outcome == "open" for each in report.checks if each.name not in OF_DATA)

    def finish(self) -> None:
        """Write the table of a run again, which shows what is stored."""
        run = self._target.run
        if run is None or not self._changed:
            return
        from robench.evaluation.results import write_leaderboard

        try:
            write_leaderboard(run.root, Silent())
        except (RobenchError, OSError) as error:
            self.unstored = str(error)


def _at_home(report: Report) -> bool:
    """Return whether a file has the name of its record; of an unreadable file, nobody knows."""
    subject = report.subject
    return not isinstance(subject, Record) or report.path.name == subject.file_name


def _entry(report: Report, settings: VerificationSettings) -> VerifiedRecord:
    record = report.subject
    assert isinstance(record, Record)
    return VerifiedRecord(
        file=report.path.name,
        checks=tuple(check.name for check in report.checks),
        examples=record.counts.n,
        fooled=report.fooled,
        searched=report.searched,
        proved=report.proved,
        sample=settings.sample,
        seed=settings.seed,
        same_software=report.same_software,
        trials=None if record.trials is None else record.trials.sha256,
        victim=record.victim.sha256,
        robench=robench.__version__,
        checked=datetime.now(UTC).replace(microsecond=0),
    )
