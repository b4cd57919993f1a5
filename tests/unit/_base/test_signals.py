"""Tests of the memory of what signal handlers raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from robench._base.signals import raise_if_signalled, watching_signals


@pytest.fixture(autouse=True)
def _usual_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nothing_is_raised_without_a_signal() -> None:
    raise_if_signalled()
    with watching_signals():
        raise_if_signalled()


def test_a_swallowed_interruption_is_raised_again() -> None:
    with watching_signals():
        with pytest.raises(KeyboardInterrupt) as first:
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as again:
            raise_if_signalled()
        assert again.value is first.value
    raise_if_signalled()


def test_an_exception_that_no_signal_raised_is_not_remembered() -> None:
    with watching_signals():
        with pytest.raises(KeyboardInterrupt):
            raise KeyboardInterrupt
        raise_if_signalled()


def test_the_handlers_work_as_before_and_come_back() -> None:
    heard: list[int] = []
    own = lambda number, frame: heard.append(number)  # noqa: E731
    signal.signal(signal.SIGTERM, own)
    with watching_signals():
        assert signal.getsignal(signal.SIGTERM) is not own
        signal.raise_signal(signal.SIGTERM)
        # This handler raises nothing, so the run goes on.
        raise_if_signalled()
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is own
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_in_the_system_s_way_and_ignored_ones_are_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with watching_signals():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with watching_signals():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    def other(number: int, frame: object) -> None:
        pass

    with watching_signals():
        signal.signal(signal.SIGINT, other)
    assert signal.getsignal(signal.SIGINT) is other


def test_watches_can_be_nested() -> None:
    with watching_signals():
        with watching_signals(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        # The outer watch heard it as well.
        with pytest.raises(KeyboardInterrupt):
            raise_if_signalled()
    raise_if_signalled()


def test_another_thread_watches_nothing() -> None:
    ended = []

    def watch() -> None:
        with watching_signals():
            ended.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert ended == [signal.default_int_handler]


def _interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_watches_that_overlap_leave_no_handler() -> None:
    first, second = watching_signals(), watching_signals()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    _interrupt()
    # The second block still runs.
    with pytest.raises(KeyboardInterrupt):
        raise_if_signalled()
    second.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    _interrupt()
    with watching_signals():
        raise_if_signalled()


def test_a_handler_that_is_left_behind_remembers_nothing_outside() -> None:
    with watching_signals():
        left = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, lambda number, frame: None)
    # Other code puts back what it found while the block ran.
    signal.signal(signal.SIGINT, left)
    _interrupt()
    raise_if_signalled()
    with watching_signals():
        raise_if_signalled()
        _interrupt()
        with pytest.raises(KeyboardInterrupt):
            raise_if_signalled()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_without_a_hash_is_watched() -> None:
    class Handler:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, number: int, frame: object) -> None:
            raise KeyboardInterrupt

    own = Handler()
    signal.signal(signal.SIGINT, own)
    with watching_signals():
        _interrupt()
        with pytest.raises(KeyboardInterrupt):
            raise_if_signalled()
    assert signal.getsignal(signal.SIGINT) is own
