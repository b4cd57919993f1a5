"""Progress for scripts and notebooks: one tqdm bar for each phase, or lines in a log."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robench._base.escaping import NAME, TEXT, terminal
from robench._base.progress_lines import ProgressLines
from robench._base.reporting import Reporter

if TYPE_CHECKING:
    from tqdm import tqdm


def bars_or_lines() -> AbstractContextManager[Reporter]:
    """Return bars on a terminal and in a notebook, and lines where stderr is a file or a pipe."""
    in_notebook = "ipykernel" in sys.modules
    if in_notebook or (sys.stderr is not None and sys.stderr.isatty()):
        return ProgressBars()
    return nullcontext(ProgressLines())


class ProgressBars:
    """A ``Reporter`` that draws bars on stderr, on a terminal and in a notebook.

    A finished phase leaves nothing behind. Messages, such as warnings about a victim, stay.
    """

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finished("")

    def message(self, text: str) -> None:
        """Print one line that stays."""
        from tqdm import tqdm

        tqdm.write(terminal(text, TEXT), file=sys.stderr)

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Start the bar of a phase."""
        from tqdm import tqdm

        self.finished("")
        interval = 0.1 if sys.stderr.isatty() else 2.0
        title = terminal(f"{phase}: {what}", NAME)
        self._bar = tqdm(
            total=total,
            desc=title,
            leave=False,
            mininterval=interval,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.set_postfix_str(terminal(note, NAME), refresh=False)
            self._bar.update(done - self._bar.n)

    def finished(self, note: str) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
