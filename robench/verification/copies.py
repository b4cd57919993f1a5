"""Find one training that stands under several seeds, in all files of a target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from robench.records.same_weights import one_training, same_weights
from robench.verification.results import Report, passed

COPIES: Final = "seeds"
"""Name of the check that two seeds are two trainings; it stands only where it fails."""


def trainings_that_are_copies(reports: Iterable[Report]) -> Sequence[Report]:
    """Let the files fail that show one training as several, and return their reports.

    Args:
        reports: those of all files of a target, also of files that the user did not name: a copy
            is found only beside what it is a copy of.
    """
    read = [(report, report.subject) for report in reports if report.subject is not None]
    copies = same_weights(subject for _, subject in read)
    found = []
    for report, subject in read:
        if subject.victim.sha256 in copies:
            problem = one_training(copies[subject.victim.sha256])
            report.checks.append(passed(COPIES, [problem]))
            found.append(report)
    return found
