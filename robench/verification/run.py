"""Verify all records and certificates of a target, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import robench
from robench._base.environment import choose_device
from robench._base.errors import RobenchError, UsageError
from robench._base.hub import no_pointless_retries
from robench._base.reporting import Reporter, Silent
from robench._base.seals import file_sha256
from robench.models.victim_folder import CARD
from robench.protocol import DEFAULT_PROTOCOL, get_protocol
from robench.records.certificate import Certificate
from robench.records.certificate_files import read_certificate
from robench.records.record import Record
from robench.records.record_files import read_with_schema, record_paths
from robench.records.same_weights import one_training, same_weights
from robench.records.verified import FILE_NAME, VerifiedRecord, write_verified
from robench.submission.checking import DERIVED, problems
from robench.submission.manifest import MANIFEST
from robench.verification.certificate_checks import CertificateVerifier
from robench.verification.checking import Checking, guarded
from robench.verification.record_checks import RecordVerifier
from robench.verification.results import Report, Status, not_made, passed
from robench.verification.settings import VerificationSettings
from robench.verification.targets import Target, opened
from robench.verification.task_data import check_own_tasks
from robench.verification.work import FILE
from robench.verification.workshop import Workshop

TABLE = "table"
"""Name of the check of a board's Markdown."""
COPIES = "seeds"
"""Name of the check that two seeds are two trainings; it stands only where it fails."""


@dataclass
class Verification:
    """What was found.

    Attributes:
        target: what was verified, as the user named it.
        settings: how much was checked.
        reports: one report for each record and certificate, in the order of their files.
        stale: how the board's Markdown differs from its records; empty without a board.
        stored: the file with the result, or None where nothing was stored.
        unstored: why nothing was stored, or an empty text.
    """

    target: str
    settings: VerificationSettings
    reports: list[Report] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    stored: Path | None = None
    unstored: str = ""

    def number(self, status: Status) -> int:
        """Return how many records and certificates have a status."""
        return sum(report.status == status for report in self.reports)

    @property
    def failed(self) -> bool:
        """Whether anything that could be checked does not hold."""
        return bool(self.number("failed") or self.stale)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for ``--json``."""
        return {
            "target": self.target,
            "sample": self.settings.sample,
            "seed": self.settings.seed,
            "verified": self.number("verified"),
            "claimed": self.number("claimed"),
            "failed": self.number("failed"),
            "reports": [report.to_dict() for report in self.reports],
            "table_differences": self.stale,
            "stored": self.stored,
        }


@no_pointless_retries()
def verify(
    name: Path,
    settings: VerificationSettings,
    report: Reporter | None = None,
    *,
    runs: Sequence[Path] = (),
) -> Verification:
    """Verify the records of a run's folder, a board or an archive.

    Nothing in the folder runs as code. A file that cannot be read is a failure of its own record,
    and the others go on. What holds is stored in ``verified.json`` beside the records.

    Args:
        name: a run's folder, a board's TOML file, or an archive of a run's folder.
        settings: how much is checked.
        report: receives the progress.
        runs: further folders where trials and victims lie.

    Raises:
        UsageError: the name is none of these, or it holds no record, or what the user named is not
            there.
    """
    for folder in settings.victims:
        if not (folder / CARD).is_file():
            raise UsageError(
                f"--victim {folder}: there is no victim that robench saved. Name a folder with a "
                f"'{CARD}'."
            )
    check_own_tasks(settings)
    progress, device = report or Silent(), choose_device(settings.device)
    with opened(name, runs) as target, TemporaryDirectory(prefix="robench-verify-") as scratch:
        found = Verification(target.name, settings)
        # Before anything else is done in the folder.
        submission = _submission(target, settings)
        reports = list(_reports(target, settings))
        if not reports:
            which = f" with {' or '.join(settings.names)} in its name" if settings.names else ""
            raise UsageError(f"'{name}' holds no record{which}, so there is nothing to verify.")
        workshop = Workshop(target.folders, settings, device, Path(scratch), progress)
        # A wrong name is the user's, and no property of the records.
        workshop.data.check_used([e.subject.task for e in reports if e.subject is not None])
        workshop.sets.check_model(_radius_of(reports))
        records = RecordVerifier(workshop, settings, progress)
        certificates = CertificateVerifier(workshop, settings, progress)
        # Records of one victim follow each other, so that it is loaded once.
        for each in sorted(reports, key=_victim_of):
            if isinstance(each.subject, Record):
                records.verify(each)
            elif isinstance(each.subject, Certificate):
                certificates.verify(each)
            progress.message(f"{each.title}: {each.status}")
        _trainings_that_are_copies(reports)
        found.reports = [*reports, *submission]
        if target.board is not None:
            found.stale = _table_differences(target.board)
        _store(target, found)
    return found


def _radius_of(reports: Iterable[Report]) -> int:
    """Return the words of context with which the first readable file used its language model."""
    subjects = (report.subject for report in reports)
    protocols = (each.protocol for each in subjects if each is not None)
    return next(protocols, get_protocol(DEFAULT_PROTOCOL)).lm_radius


def _reports(target: Target, settings: VerificationSettings) -> Iterable[Report]:
    """Yield a report for each file; one that cannot be read has failed already."""

    def wanted(path: Path) -> bool:
        return not settings.names or any(part in path.name for part in settings.names)

    for path in filter(wanted, record_paths(target.records)):
        report = Report(path, "record", target.folders)
        _read(report)
        yield report
    for folder in target.certificates:
        for path in filter(wanted, sorted(folder.glob("*.json"))):
            report = Report(path, "certificate", target.folders)
            _read(report)
            yield report


def _submission(target: Target, settings: VerificationSettings) -> list[Report]:
    """Return a report about the files of a submission that are no records; none for another run."""
    if target.run is None or target.lasting or settings.names:
        return []
    try:
        with guarded("the check"):
            found = problems(target.run.root, target.passed_over)
    except RobenchError as error:
        found = {"files": [str(error)]}
    if found is None:
        return []
    checks = [passed(name, sentences) for name, sentences in found.items()]
    # A list of files that cannot be read has failed already.
    missing = [name for name in DERIVED if name not in found and not found["files"]]
    reason = "another version of robench packed the archive, and may write such files otherwise"
    checks += [not_made(name, reason) for name in missing]
    path = target.run.root / MANIFEST
    return [Report(path, "submission", target.folders, checks=checks)]


def _read(report: Report) -> None:
    """Read the file of a report."""
    checking = Checking(report)
    with checking.check(FILE):
        report.sha256 = file_sha256(report.path)
        if report.kind == "record":
            report.subject, report.schema = read_with_schema(report.path)
        else:
            report.subject = read_certificate(report.path)
    # A file that can be read is checked further under the same name.
    if report.subject is not None:
        report.checks.clear()


def _trainings_that_are_copies(reports: Iterable[Report]) -> None:
    """Let the files fail that show one training as several."""
    read = [(report, report.subject) for report in reports if report.subject is not None]
    copies = same_weights(subject for _, subject in read)
    for report, subject in read:
        if subject.victim.sha256 in copies:
            problem = one_training(copies[subject.victim.sha256])
            report.checks.append(passed(COPIES, [problem]))


def _victim_of(report: Report) -> tuple[str, str]:
    subject = report.subject
    return ("", report.path.name) if subject is None else (subject.victim.sha256, report.path.name)


def _table_differences(board: Path) -> list[str]:
    """Return how the Markdown of a board differs from its records."""
    from robench.records.leaderboard import check

    try:
        return check(board)
    except RobenchError as error:
        return [str(error)]


def _store(target: Target, found: Verification) -> None:
    """Write ``verified.json`` beside the records, and the table of a run again."""
    if not target.lasting:
        found.unstored = "An archive is not changed, so the result is not stored."
        return
    records = [report for report in found.reports if report.kind == "record"]
    held = {
        report.sha256: _entry(report, found.settings)
        for report in records
        if report.status == "verified"
    }
    others = [report.sha256 for report in records if report.status != "verified"]
    if not held and not (target.records / FILE_NAME).exists():
        found.unstored = "No record is verified, so nothing is stored."
        return
    try:
        found.stored = write_verified(target.records, held, others)
        if target.run is not None:
            from robench.evaluation.results import write_leaderboard

            write_leaderboard(target.run.root, Silent())
    except (RobenchError, OSError) as error:
        found.unstored = str(error)


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
