"""Let the other parts of a run continue after one part failed, and report the failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from robench._base.errors import Incomplete, RobenchError
from robench._base.files import causes, is_disk_full
from robench._base.no_exit import as_failure
from robench._base.reporting import Reporter


class Failures:
    """Collect the failures of one run's parts.

    Args:
        report: receives a message for each failure.
    """

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._failed: dict[str, list[str]] = {}

    @contextmanager
    def catch(self, part: str, *, only: bool = False) -> Iterator[None]:
        """Catch and remember a RobenchError of the block.

        A plugin's SystemExit counts as one. That of a handler of a signal is not caught.

        The error of a full disk is not caught, because all later parts would fail in the same
        way.

        Args:
            part: name of the part, for the messages.
            only: the run has no other part. Its error is not caught, because no other part remains.
        """
        try:
            with as_failure():
                yield
        except RobenchError as error:
            if only or any(is_disk_full(cause) for cause in causes(error)):
                raise
            self._report.finished("failed")
            self._report.message(f"No result for {part}: {error}")
            # Only the text is kept. The error itself would keep a model in memory.
            self._remember(str(error), [part])

    def run_parts(self, name: str, run: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """Call ``run``, which has parts of its own, and remember which of them failed.

        Args:
            name: name used if ``run`` itself fails.
            run: does the work and returns the results.

        Returns:
            The results of the parts that finished.
        """
        done: Sequence[Any] = ()
        with self.catch(name):
            try:
                done = run()
            except Incomplete as error:
                # ``run`` has reported these failures already.
                for reason, parts in error.failed.items():
                    self._remember(reason, parts)
                done = error.done
        return done

    def _remember(self, reason: str, parts: Iterable[str]) -> None:
        known = self._failed.setdefault(reason, [])
        known += [part for part in parts if part not in known]

    def raise_if_any(self, done: Sequence[Any]) -> None:
        """Raise Incomplete if a part failed.

        Args:
            done: results of the other parts, which the error holds.
        """
        if self._failed:
            raise Incomplete(self._failed, done)
