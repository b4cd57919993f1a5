"""What a verification found: checks of one record or certificate, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from robench._base.escaping import one_line
from robench.records.certificate import Certificate
from robench.records.record import Record
from robench.records.run_folder import RunFolder

Outcome = Literal["ok", "failed", "open"]
"""How a check ended: no difference, a difference, or it could not be made."""

Status = Literal["verified", "claimed", "failed"]
"""What follows for a record: everything holds, something could not be checked, something fails."""

LONGEST_TITLE: Final = 120
"""Characters of the name of a record for people."""
MOST_SENTENCES: Final = 3
"""Sentences of one check that people see; a number stands for the others."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: its name, in words.
        outcome: how it ended.
        sentences: what differs, or why it could not be made; empty where all is well.
        notes: what a reader should know although nothing is wrong.
    """

    name: str
    outcome: Outcome
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reworded(self, change: Callable[[str], str]) -> Check:
        """Return the check with each sentence and note changed."""
        sentences, notes = map(change, self.sentences), map(change, self.notes)
        return replace(self, sentences=tuple(sentences), notes=tuple(notes))


def passed(name: str, problems: Sequence[str], notes: Sequence[str] = ()) -> Check:
    """Return a check that was made: it failed where there are problems."""
    shown = list(problems[:MOST_SENTENCES])
    if len(problems) > MOST_SENTENCES:
        shown.append(f"There are {len(problems) - MOST_SENTENCES} more differences of this kind.")
    return Check(name, "failed" if problems else "ok", tuple(shown), tuple(notes))


def not_made(name: str, reason: str) -> Check:
    """Return a check that could not be made, with the reason."""
    return Check(name, "open", (reason,))


@dataclass
class Report:
    """What was found about one record, one certificate, or the other files of a submission.

    Attributes:
        path: its file.
        kind: what it is.
        folders: the run folders where its trials, texts and victim may lie.
        subject: the record or certificate; None where it cannot be read.
        schema: version of the format in which a record's file is written; 0 for a certificate.
        sha256: SHA-256 of the file; empty where it cannot be read.
        checks: the checks, in the order in which they were made.
        asked: texts that the victim was asked about again, clean and adversarial.
        fooled: adversarial texts among them.
        searched: examples that were attacked again from scratch.
        proved: proofs that were made again.
        same_software: see ``VerifiedRecord.same_software``.
    """

    path: Path
    kind: Literal["record", "certificate", "submission"]
    folders: Sequence[RunFolder]
    subject: Record | Certificate | None = None
    schema: int = 0
    sha256: str = ""
    checks: list[Check] = field(default_factory=list)
    asked: int = 0
    fooled: int = 0
    searched: int = 0
    proved: int = 0
    same_software: bool = False

    @property
    def status(self) -> Status:
        """What follows from the checks."""
        outcomes = {check.outcome for check in self.checks}
        if "failed" in outcomes:
            return "failed"
        return "verified" if outcomes == {"ok"} else "claimed"

    @property
    def title(self) -> str:
        """The row, the attack or method, and the seed; the file name where it cannot be read."""
        return one_line(self._title, LONGEST_TITLE)

    @property
    def _title(self) -> str:
        subject = self.subject
        if isinstance(subject, Record):
            return f"{subject.row} under {subject.attack.label}, seed {subject.search.seed}"
        if isinstance(subject, Certificate):
            return f"{subject.row} by {subject.method}, seed {subject.seed}"
        if self.kind == "submission":
            return "files of the submission"
        return self.path.name

    def sentences(self, outcome: Outcome) -> list[str]:
        """Return the sentences of all checks with one outcome."""
        return [
            f"{check.name}: {sentence}"
            for check in self.checks
            if check.outcome == outcome
            for sentence in check.sentences
        ]

    @property
    def notes(self) -> list[str]:
        """What a reader should know although nothing is wrong."""
        return [note for check in self.checks for note in check.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for ``--json``."""
        return {
            "kind": self.kind,
            "file": self.path.name,
            "title": self.title,
            "status": self.status,
            "checks": {check.name: check.outcome for check in self.checks},
            "asked": self.asked,
            "fooled": self.fooled,
            "searched": self.searched,
            "proved": self.proved,
            "same_software": self.same_software,
            "failed": self.sentences("failed"),
            "open": self.sentences("open"),
            "notes": self.notes,
        }
