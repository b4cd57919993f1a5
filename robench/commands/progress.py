"""Reporters of a run's progress: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robench._base.escaping import NAME, TEXT, terminal
from robench.commands.shell import stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

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


class TerminalReporter:
    """A ``robench._base.reporting.Reporter`` that draws bars on a terminal.

    Each phase prints a line that names it, shows a bar while it runs, and ends with a line about
    its result.
    """

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        note = TextColumn("{task.description}", style="dim", markup=False)
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            note,
        )
        self._progress: Progress = Progress(*columns, console=stderr(), transient=True)
        self._task: TaskID | None = None
        self._since = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        """Print one line that stays."""
        line = terminal(text, TEXT)
        self._progress.console.print(f"  {line}" if self._task is not None else line)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Print the phase and start a new bar."""
        self.message(f"{VERBS.get(phase, phase)} {what}")
        self._since = time.monotonic()
        self._task = self._progress.add_task("", total=total)

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Move the bar."""
        if self._task is not None:
            shown = terminal(note, NAME)
            self._progress.update(self._task, completed=done, total=total, description=shown)

    def finished(self, note: str) -> None:
        """Replace the bar by one line about the result."""
        if self._task is not None:
            self.message(finished_line(note, time.monotonic() - self._since))
            self._progress.remove_task(self._task)
            self._task = None


class LogReporter:
    """A ``robench._base.reporting.Reporter`` that prints plain lines, for a file or a pipe.

    It prints a line at the start and at the end of each phase, and one every twenty seconds.
    """

    def __init__(self) -> None:
        self._console = stderr()
        self._inside = False
        self._since = self._last = 0.0

    def message(self, text: str) -> None:
        """Print one line."""
        line = terminal(text, TEXT)
        self._console.print(f"  {line}" if self._inside else line, soft_wrap=True)

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
