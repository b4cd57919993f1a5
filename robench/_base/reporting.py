"""The interface through which a run reports its progress to a terminal, a log or nobody."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receiver of a run's progress.

    Phases never overlap: one phase finishes before the next one starts. The phases are ``"data"``,
    ``"surface"``, ``"training"``, ``"checks"``, ``"attack"``, ``"transfer"`` and ``"verify"``.
    """

    def message(self, text: str) -> None:
        """Show one sentence that should stay on the screen."""

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Begin a phase.

        Args:
            phase: one of the phases above.
            what: what the phase works on, such as ``"rift on imdb, seed 0"``.
            total: number of steps; None where it is not known.
        """

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Report the progress of the current phase.

        Args:
            done: steps finished so far in this phase; not an increment.
            total: number of steps; None where it is not known.
            note: a running figure in words.
        """

    def finished(self, note: str) -> None:
        """End the current phase, if there is one; ``note`` is its result in words."""


class Silent:
    """A reporter that shows nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Do nothing."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Do nothing."""

    def finished(self, note: str) -> None:
        """Do nothing."""
