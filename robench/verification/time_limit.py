"""End a computation in this process that takes too long."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import TypeVar

Found = TypeVar("Found")

_TICK = 1.0
"""Seconds between two alarms after the first, which some libraries swallow."""


class _OutOfTime(BaseException):
    """The time is over. It is no ``Exception``, so that no library catches it."""


def within(seconds: float, compute: Callable[[], Found]) -> Found | None:
    """Return what a computation gives, or None where it takes longer.

    Only the main thread of a system with alarms can end it, and only if nobody else uses the
    alarm. Otherwise there is no limit.

    Args:
        seconds: the limit; 0 for none.
        compute: the computation.
    """
    usual = getattr(signal, "SIGALRM", None)
    if (
        not seconds
        or usual is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(usual) != signal.SIG_DFL
    ):
        return compute()
    end, running = monotonic() + seconds, [True]

    def over(number: int, frame: FrameType | None) -> None:
        # Not after the computation, where nobody would catch it.
        if running and monotonic() >= end:
            raise _OutOfTime

    signal.signal(usual, over)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, _TICK)
        return compute()
    except _OutOfTime:
        return None
    finally:
        running.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(usual, signal.SIG_DFL)
