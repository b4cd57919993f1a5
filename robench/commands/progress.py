"""Progress for people: bars on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robench.commands.shell import stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

VERBS = {
    "data": "reading",
    "surface": "building the surface of",
    "training": "training",
    "checks": "questioning",
    "attack": "attacking",
}
LINE_EVERY_SECONDS = 20.0  # between two lines of one phase in a log


class TerminalReporter:
    """Fulfils ``robench._base.reporting.Reporter``: each phase has a line that says what it is, under it rich's bar while it lasts, then its result."""

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
        """One line that stays."""
        self._progress.console.print(f"  {text}" if self._task is not None else text)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """A line that stays, and a new bar."""
        self.message(f"{VERBS.get(phase, phase)} {what}")
        self._since = time.monotonic()
        self._task = self._progress.add_task("", total=total)

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total, description=note)

    def finished(self, note: str) -> None:
        """The bar gives way to one line."""
        if self._task is not None:
            self.message(finished_line(note, time.monotonic() - self._since))
            self._progress.remove_task(self._task)
            self._task = None


class LogReporter:
    """The same as plain lines for a file or a pipe: at the start and the end of each phase, and every twenty seconds between."""

    def __init__(self) -> None:
        self._console = stderr()
        self._inside = False
        self._since = self._last = 0.0

    def message(self, text: str) -> None:
        """One line."""
        self._console.print(f"  {text}" if self._inside else text, soft_wrap=True)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """One line."""
        self.message(f"{VERBS.get(phase, phase)} {what}")
        self._inside = True
        self._since = self._last = time.monotonic()

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """One line, if the last one is old enough."""
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            of_total = f"{done}/{total}" if total is not None else str(done)
            self.message(
                f"{of_total} after {duration(now - self._since)}{': ' + note if note else ''}"
            )

    def finished(self, note: str) -> None:
        """One line."""
        if self._inside:
            self.message(finished_line(note, time.monotonic() - self._since))
            self._inside = False


def finished_line(note: str, seconds: float) -> str:
    """``"done in 1 min 5 s; dev 0.81"``."""
    return f"done in {duration(seconds)}{'; ' + note if note else ''}"


def duration(seconds: float) -> str:
    """In the two units that matter: ``"0.4 s"``, ``"12 s"``, ``"3 min 5 s"``, ``"2 h 10 min"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
