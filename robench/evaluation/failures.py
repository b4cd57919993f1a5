"""What becomes of a run when some of its parts fail: the others go on, and at the end one sentence says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from robench._base.errors import Incomplete, RobenchError
from robench._base.files import causes, is_disk_full
from robench._base.reporting import Reporter


class Attempts:
    """The parts of one run, of which each may fail by itself."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._failed: dict[str, list[str]] = {}

    @contextmanager
    def part(self, what: str, *, alone: bool = False) -> Iterator[None]:
        """Let the block fail: a RobenchError is told and remembered.

        Args:
            alone: there is no other part, so the error comes through and says all. So does that of a full disk, which would meet the others as well.
        """
        try:
            yield
        except RobenchError as error:
            if alone or any(map(is_disk_full, causes(error))):
                raise
            self._report.finished("given up")
            self._report.message(f"There will be nothing from {what}: {error}")
            self._remember(str(error), [what])  # the sentence only: the error holds on to a model

    def several(self, what: str, run: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """What ``run``, which has parts of its own, brings; less than all, or nothing, where it fails.

        Args:
            what: the run, where it fails as a whole; of its parts each has a name.
        """
        done: Sequence[Any] = ()
        with self.part(what):
            try:
                done = run()
            except Incomplete as error:  # told already
                for sentence, parts in error.failed.items():
                    self._remember(sentence, parts)
                done = error.done
        return done

    def _remember(self, sentence: str, parts: Iterable[str]) -> None:
        known = self._failed.setdefault(sentence, [])
        known += [part for part in parts if part not in known]

    def finish(self, done: Sequence[Any]) -> None:
        """Raise Incomplete where a part failed; ``done`` is what the others brought."""
        if self._failed:
            raise Incomplete(self._failed, done)
