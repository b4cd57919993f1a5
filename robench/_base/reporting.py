"""Reporter: how a run tells of its progress, without knowing whether a terminal, a log or nobody listens."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """What the evaluator calls while it works. Phases never overlap: one is finished before the next one starts.

    The phases are ``"data"``, ``"surface"``, ``"training"``, ``"checks"`` and ``"attack"``.
    """

    def message(self, text: str) -> None:
        """One sentence that should stay on the screen."""

    def started(self, phase: str, what: str, total: int | None) -> None:
        """A phase begins; ``what`` names its object (``"rift on imdb, seed 0"``), ``total`` its steps where they are known."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """``done`` steps of the current phase are behind us (absolute, not an increment); ``note`` is a running figure in words."""

    def finished(self, note: str) -> None:
        """The current phase, if there is one, is over; ``note`` is its result in words."""


class Silent:
    """A reporter that says nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Do nothing."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Do nothing."""

    def finished(self, note: str) -> None:
        """Do nothing."""
