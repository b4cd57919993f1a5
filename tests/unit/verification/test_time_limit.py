"""A computation of this process that takes too long."""

from __future__ import annotations

import signal
import threading
from time import monotonic

import pytest

from robench.verification.time_limit import within


def for_ever() -> int:
    while True:
        pass


def test_what_ends_in_time_is_returned() -> None:
    assert within(5.0, lambda: 3) == 3
    assert within(0.0, lambda: 3) == 3
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_what_takes_too_long_is_ended() -> None:
    began = monotonic()
    assert within(0.05, for_ever) is None
    assert monotonic() - began < 5
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_library_that_catches_all_errors_is_ended() -> None:
    def catching() -> int:
        while True:
            try:
                for_ever()
            except Exception:
                continue

    assert within(0.05, catching) is None


def test_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_an_alarm_of_somebody_else_and_other_threads_are_left_alone() -> None:
    mine = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        assert within(0.01, lambda: 3) == 3
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, mine)
    found: list[int | None] = []
    thread = threading.Thread(target=lambda: found.append(within(0.01, lambda: 3)))
    thread.start()
    thread.join()
    assert found == [3]
