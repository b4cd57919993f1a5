"""Verify all records and certificates of a target, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
from robench.submission.checking import DERIVED, problems
from robench.submission.manifest import MANIFEST
from robench.verification.certificate_checks import CertificateVerifier
from robench.verification.checking import Checking, guarded
from robench.verification.copies import trainings_that_are_copies
from robench.verification.record_checks import RecordVerifier
from robench.verification.results import Report, Status, not_made, passed
from robench.verification.settings import VerificationSettings
from robench.verification.storing import Store
from robench.verification.targets import Target, opened
from robench.verification.task_data import check_own_tasks
from robench.verification.work import FILE
from robench.verification.workshop import Workshop

TABLE = "table"
"""Name of the check of a board's Markdown."""
UNEXPECTED = "verification"
"""Name of the check that nothing went wrong; it stands only where something did."""


@dataclass
class Verification:
    """What was found.

    Attributes:
        target: what was verified, as the user named it.
        settings: how much was checked.
        reports: one report for each record and certificate, in the order of their files.
        stale: how the board's Markdown differed from its records before this verification; empty
            without a board.
        remade: whether the Markdown must be made again, because marks have changed.
        stored: the file with the result, or None where nothing was stored.
        unstored: why something was not stored, or an empty text.
        kept: number of claimed records that keep the mark of an earlier verification.
        lost: number of records that had such a mark, and lose it.
    """

    target: str
    settings: VerificationSettings
    reports: list[Report] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    remade: bool = False
    stored: Path | None = None
    unstored: str = ""
    kept: int = 0
    lost: int = 0

    @property
    def results(self) -> list[Report]:
        """The reports about records and certificates, without that about other files."""
        return [report for report in self.reports if report.kind != "submission"]

    def number(self, status: Status) -> int:
        """Return how many records and certificates have a status."""
        return sum(report.status == status for report in self.results)

    @property
    def files(self) -> Status | None:
        """What follows for the other files of a submission; None where there is none."""
        found = (each.status for each in self.reports if each.kind == "submission")
        return next(found, None)

    @property
    def failed(self) -> bool:
        """Whether anything that could be checked does not hold."""
        return bool(self.number("failed") or self.files == "failed" or self.stale)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for ``--json``."""
        return {
            "target": self.target,
            "sample": self.settings.sample,
            "seed": self.settings.seed,
            "verified": self.number("verified"),
            "claimed": self.number("claimed"),
            "failed": self.number("failed"),
            "files_of_submission": self.files,
            "reports": [report.to_dict() for report in self.reports],
            "table_differences": self.stale,
            "table_changes": self.remade,
            "marks_kept": self.kept,
            "marks_lost": self.lost,
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
    and the others go on. What holds is stored in ``verified.json`` beside the records, after each
    victim.

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
        everything = list(_reports(target))
        reports = [each for each in everything if _is_named(each, settings)]
        if not reports:
            which = f" with {' or '.join(settings.names)} in its name" if settings.names else ""
            raise UsageError(f"'{name}' holds no record{which}, so there is nothing to verify.")
        workshop = Workshop(target.folders, settings, device, Path(scratch), progress)
        # A wrong name is the user's, and no property of the records.
        workshop.data.check_used([e.subject.task for e in reports if e.subject is not None])
        workshop.sets.check_model(_radius_of(reports))
        if target.board is not None:
            # Before this verification changes a mark, and with it the table.
            found.stale = _table_differences(target.board)
        store = Store(target, settings)
        # What is known to be false goes first, before somebody ends the command.
        store.add([*trainings_that_are_copies(everything), *_unreadable(reports)])
        try:
            _verify_each(reports, workshop, settings, progress, store)
        finally:
            # After Ctrl-C, too, the table shows what is stored.
            store.finish()
        found.reports = [*reports, *submission]
        for each in found.reports:
            each.checks = [check.reworded(target.as_named) for check in each.checks]
        found.stored, found.unstored = store.stored, store.unstored
        found.kept, found.lost = store.kept, store.lost
        if target.board is not None and store.stored is not None and not found.stale:
            found.remade = bool(_table_differences(target.board))
    return found


def _verify_each(
    reports: Sequence[Report],
    workshop: Workshop,
    settings: VerificationSettings,
    progress: Reporter,
    store: Store,
) -> None:
    """Verify all files, and store the result after each victim."""
    records = RecordVerifier(workshop, settings, progress)
    certificates = CertificateVerifier(workshop, settings, progress)
    # Records of one victim follow each other, so that it is loaded once.
    for _, group in groupby(sorted(reports, key=_victim_of), key=lambda each: _victim_of(each)[0]):
        of_victim = list(group)
        for each in of_victim:
            # An error that nobody thought of is one of this file, and the others go on.
            try:
                with guarded("the verification"):
                    if isinstance(each.subject, Record):
                        records.verify(each)
                    elif isinstance(each.subject, Certificate):
                        certificates.verify(each)
            except UsageError:
                raise
            except RobenchError as error:
                each.checks.append(passed(UNEXPECTED, [str(error)]))
            progress.message(f"{each.title}: {each.status}")
        store.add(of_victim)


def _unreadable(reports: Iterable[Report]) -> list[Report]:
    return [each for each in reports if each.subject is None]


def _radius_of(reports: Iterable[Report]) -> int:
    """Return the words of context with which the first readable file used its language model."""
    subjects = (report.subject for report in reports)
    protocols = (each.protocol for each in subjects if each is not None)
    return next(protocols, get_protocol(DEFAULT_PROTOCOL)).lm_radius


def _reports(target: Target) -> Iterable[Report]:
    """Yield a report for each file; one that cannot be read has failed already."""
    for path in record_paths(target.records):
        report = Report(path, "record", target.folders)
        _read(report)
        yield report
    for folder in target.certificates:
        for path in sorted(folder.glob("*.json")):
            report = Report(path, "certificate", target.folders)
            _read(report)
            yield report


def _is_named(report: Report, settings: VerificationSettings) -> bool:
    """Return whether the user wants a file to be verified."""
    return not settings.names or any(part in report.path.name for part in settings.names)


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
