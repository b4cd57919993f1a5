"""What a worker process is doing, in memory that its parent reads, also after its death."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing import get_context
from time import monotonic

LONGEST = 255
"""Bytes of an example's id that are kept."""
NEVER = 0.0
"""The deadline of an example without one."""


class Pulse:
    """The example whose search runs at this moment, and the time by which it has to end.

    One process writes and one reads. Only the code of a search counts: while the victim computes
    or the engine works, there is no such example.
    """

    def __init__(self) -> None:
        context = get_context("spawn")
        self._example = context.RawArray("c", LONGEST + 1)
        self._deadline = context.RawValue("d", NEVER)

    def begin(self, example: str, deadline: float | None) -> None:
        """Say that the search of an example continues.

        Args:
            example: its id.
            deadline: when it has to end, on the clock ``time.monotonic``; None for never.
        """
        self._deadline.value = NEVER if deadline is None else deadline
        self._example.value = example.encode()[:LONGEST]

    def end(self) -> None:
        """Say that no search runs."""
        self._example.value = b""

    def example(self, among: Iterable[str]) -> str | None:
        """Return which of the examples runs, or None."""
        content = self._example.value
        if not content:
            return None
        return next((each for each in among if each.encode()[:LONGEST] == content), None)

    def late(self) -> float:
        """Return by how many seconds a running search has missed its deadline; 0 for not at all."""
        deadline: float = self._deadline.value
        if not self._example.value or deadline == NEVER:
            return 0.0
        return max(0.0, monotonic() - deadline)
