"""Progress for people: bars on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robench.commands.shell import stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

VERBS = {"data": "reading", "surface": "building the surface of", "training": "training", "checks": "questioning", "attack": "attacking"}
LINE_EVERY_SECONDS = 20.0  # between two lines of one phase in a log


class TerminalReporter:
    """Fulfils ``robench.reporting.Reporter`` with rich's bars on stderr; a finished phase leaves one line."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
        )
        self._progress: Progress = Progress(*columns, console=stderr(), transient=True)
        self._task: TaskID | None = None
        self._what = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        """One line that stays."""
        self._progress.console.print(text)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """A new bar."""
        self._what, self._since = f"{VERBS.get(phase, phase)} {what}", time.monotonic()
        self._task = self._progress.add_task(self._what, total=total, note="")

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total, note=note)

    def finished(self, note: str) -> None:
        """The bar gives way to one line."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self.message(finished_line(self._what, note, time.monotonic() - self._since))


class LogReporter:
    """The same as plain lines for a file or a pipe: at the start and the end of each phase, and every twenty seconds between."""

    def __init__(self) -> None:
        self._console = stderr()
        self._what = ""
        self._since = self._last = 0.0

    def message(self, text: str) -> None:
        """One line."""
        self._console.print(text, soft_wrap=True)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """One line."""
        self._what = f"{VERBS.get(phase, phase)} {what}"
        self._since = self._last = time.monotonic()
        self.message(f"{self._what}…")

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """One line, if the last one is old enough."""
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            of_total = f"{done}/{total}" if total is not None else str(done)
            self.message(f"  {of_total} after {duration(now - self._since)}{': ' + note if note else ''}")

    def finished(self, note: str) -> None:
        """One line."""
        self.message(finished_line(self._what, note, time.monotonic() - self._since))


def finished_line(what: str, note: str, seconds: float) -> str:
    """``"training rift on imdb, seed 0: done in 1 min 5 s; dev 0.81"``."""
    return f"{what}: done in {duration(seconds)}{'; ' + note if note else ''}"


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
