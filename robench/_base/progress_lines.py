"""A reporter for logs: plain lines at both ends of a phase, and one every twenty seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from robench._base.escaping import TEXT, terminal

VERBS = {
    "data": "reading",
    "surface": "building the surface of",
    "training": "training",
    "loading": "loading",
    "checks": "checking",
    "transfer": "asking",
    "attack": "attacking",
    "verify": "verifying",
}
LINE_EVERY_SECONDS = 20.0
"""Least seconds between two progress lines of one phase in a log."""


def to_stderr(line: str) -> None:
    """Write one line to stderr at once, if there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class ProgressLines:
    """A ``robench._base.reporting.Reporter`` that prints plain lines, for a file or a pipe.

    Args:
        write: prints one line. The line has no line break and no control characters.
    """

    def __init__(self, write: Callable[[str], None] = to_stderr) -> None:
        self._write = write
        self._inside = False
        self._since = self._last = 0.0

    def message(self, text: str) -> None:
        """Print one line."""
        line = terminal(text, TEXT)
        self._write(f"  {line}" if self._inside else line)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Print one line that names the phase."""
        self.message(f"{VERBS.get(phase, phase)} {what}")
        self._inside = True
        self._since = self._last = time.monotonic()

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Print one line if the last one is old enough."""
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            steps = f"{done}/{total}" if total is not None else str(done)
            end = f": {note}" if note else ""
            self.message(f"{steps} after {duration(now - self._since)}{end}")

    def finished(self, note: str) -> None:
        """Print one line about the result."""
        if self._inside:
            self.message(finished_line(note, time.monotonic() - self._since))
            self._inside = False


def finished_line(note: str, seconds: float) -> str:
    """Return the last line of a phase: ``"done in 1 min 5 s; dev 0.81"``."""
    end = f"; {note}" if note else ""
    return f"done in {duration(seconds)}{end}"


def duration(seconds: float) -> str:
    """Write a duration in two units at most: ``"0.4 s"``, ``"3 min 5 s"``, ``"2 h 10 min"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
