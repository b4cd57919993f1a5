"""The reporter of a run's progress on a terminal: one bar for each phase."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robench._base.escaping import NAME, TEXT, terminal
from robench._base.progress_lines import VERBS, finished_line
from robench.commands.shell import stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


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
