"""Make checks one after the other: no error of a stranger's file ends the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from robench._base.errors import RobenchError, UsageError, first_line
from robench.verification.results import Check, Report, not_made, passed
from robench.verification.victims import NotThere

LONGEST = 200
"""Characters of another library's message that are shown."""


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn every error of a stranger's file into a RobenchError.

    Args:
        what: what is done, for the sentence.

    Raises:
        RobenchError: for an error of another type, with its first line.
    """
    try:
        yield
    except (RobenchError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    # A library written in Rust raises panics, which are no ``Exception``.
    except BaseException as error:
        reason = f"{type(error).__name__}: {first_line(error)[:LONGEST]}"
        raise RobenchError(f"{what} failed ({reason})") from error


@dataclass
class Checking:
    """Notes the checks of one record or certificate.

    Attributes:
        report: where they are noted.
    """

    report: Report

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """Note a check: the block puts its problems into the list, or raises why it cannot be made.

        ``NotThere`` and ``UsageError`` mean that it could not be made. Other errors are failures.
        """
        problems: list[str] = []
        try:
            with guarded("the check"):
                yield problems
        except (NotThere, UsageError) as error:
            self.add(passed(name, problems) if problems else not_made(name, str(error)))
        except RobenchError as error:
            self.add(passed(name, [*problems, str(error)]))
        else:
            self.add(passed(name, problems))

    def add(self, check: Check) -> None:
        """Note a check."""
        self.report.checks.append(check)

    def note(self, text: str) -> None:
        """Add a note to the last check."""
        last = self.report.checks[-1]
        self.report.checks[-1] = replace(last, notes=(*last.notes, text))
