"""Watch the example whose search runs, and end a search that takes too long.

The time of an example is its own: that of its search, and its share of the victim's forward
passes. It is the ``seconds`` of its trial, and the examples beside it do not count.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from greenlet import getcurrent, greenlet

from robench.search.attack import Trial, Verdict
from robench.search.pulse import Pulse

LONGEST_TICK = 1.0
"""Seconds between two looks at a search that asks nothing; fewer for a shorter limit."""
TOO_LONG = "the search took longer than"
"""How the problem of a search begins that was ended."""


class OutOfTime(BaseException):
    """The time of an example is over. Only the engine may catch it."""


def too_long(seconds: float) -> str:
    """Return the problem of a trial whose search was ended."""
    return f"{TOO_LONG} {seconds:g} s (--example-seconds)"


def is_too_long(trial: Trial) -> bool:
    """Return whether a search was ended because it took too long."""
    return trial.verdict == Verdict.ERROR and str(trial.problem).startswith(TOO_LONG)


class ExampleWatch:
    """Know which example runs.

    Args:
        seconds: how long an example may take; None sets no limit.
        pulse: where the parent process reads what runs; None where there is none.

    Attributes:
        overdue: ids of the examples whose time was over.
    """

    def __init__(self, seconds: float | None, pulse: Pulse | None) -> None:
        self.seconds = seconds
        self.overdue: set[str] = set()
        self._pulse = pulse
        self._example = ""
        self._greenlet: greenlet | None = None
        self._deadline = 0.0

    def resume(self, example: str, own: greenlet, spent: float) -> None:
        """Continue an example's greenlet until it asks or ends.

        Args:
            example: its id.
            own: its greenlet.
            spent: its seconds so far.
        """
        limited = self.seconds is not None
        self._deadline = monotonic() + (self.seconds or 0.0) - spent
        self._example = example
        if self._pulse is not None:
            self._pulse.begin(example, self._deadline if limited else None)
        try:
            own.switch()
        except OutOfTime:
            return
        finally:
            self._greenlet = None
            if self._pulse is not None:
                self._pulse.end()

    def hold(self) -> None:
        """Let no alarm interrupt the greenlet that calls this, because it changes the engine."""
        self._greenlet = None

    def release(self, seconds: float) -> None:
        """Let alarms interrupt the search of the example whose greenlet calls this.

        They may until it asks again or ends.

        Args:
            seconds: the example's share of the forward passes that it waited for.
        """
        self._deadline -= seconds
        self._greenlet = getcurrent()

    def check(self) -> None:
        """Raise OutOfTime in the greenlet that calls this, if its time is over."""
        if self.seconds is not None and monotonic() > self._deadline:
            self.overdue.add(self._example)
            raise OutOfTime(too_long(self.seconds))

    def judged(self, example: str, trial: Trial) -> Trial:
        """Return the trial of an example that has ended: an ERROR where its time was over."""
        if example not in self.overdue:
            return trial
        assert self.seconds is not None
        return Trial(
            id=example,
            verdict=Verdict.ERROR,
            label=trial.label,
            prediction=trial.prediction,
            probs=trial.probs,
            asked=trial.asked,
            forwarded=trial.forwarded,
            problem=too_long(self.seconds),
        )

    @contextmanager
    def alarms(self) -> Iterator[None]:
        """End a search that never asks, while the block runs.

        Only the main thread of a system with alarms can do this, and only if nobody else uses
        the alarm.
        """
        usual = getattr(signal, "SIGALRM", None)
        if (
            self.seconds is None
            or usual is None
            or threading.current_thread() is not threading.main_thread()
            or signal.getsignal(usual) != signal.SIG_DFL
        ):
            yield
            return
        tick = min(LONGEST_TICK, self.seconds / 4)
        signal.signal(usual, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, tick, tick)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(usual, signal.SIG_DFL)

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        """End the search that runs if its time is over; Python calls this in the main thread."""
        # The engine and the core of the example must not be interrupted. A search runs in a
        # greenlet below that of its example.
        above = getcurrent().parent
        while self._greenlet is not None and above is not None:
            if above is self._greenlet:
                self.check()
            above = above.parent
