"""End the process on Ctrl-C, SIGTERM and SIGHUP: at once, with one sentence, and without loss.

The first signal raises ``KeyboardInterrupt`` or ``Terminated`` in the main thread, so that locks
are released and worker processes end. Code that never returns to Python, or that swallows every
exception, cannot prevent the end: a thread ends the process after some seconds. Everything that
is kept is written in a way that a kill cannot damage, so this loses nothing.

While a module is imported, the first signal ends the process at once. Libraries in C++ import
modules in places where an exception aborts the process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Container
from time import monotonic, sleep
from types import FrameType, TracebackType
from typing import Final, NoReturn

from robench._base.files import causes

SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that end a run. Windows has no SIGHUP."""
CHILDREN_SECONDS = 0.5
"""Seconds after which child processes are killed, where the main thread has not ended them."""
FORCE_SECONDS = 10.0
"""Seconds after which the process ends, whatever its main thread does."""
REPEAT_SECONDS = 1.0
"""A signal within this time after the first is the same wish; a later one ends the process."""

_exit_now = os._exit
"""The function itself, because plugins run while ``os._exit`` is replaced."""


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C ended the run.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def signal_of(error: BaseException) -> int:
    """Return the signal behind an interruption; SIGINT where none is known."""
    for cause in causes(error):
        if isinstance(cause, Terminated):
            return cause.number
    return int(signal.SIGINT)


def was_ended(error: BaseException) -> bool:
    """Return whether a signal other than Ctrl-C is behind an error."""
    return any(isinstance(cause, Terminated) for cause in causes(error))


def exit_code(number: int) -> int:
    """Return the exit code after a signal, as shells have it: 128 + its number."""
    return 128 + number


class EndingSignals:
    """Handle the signals that end a run while a ``with`` block runs in the main thread.

    A signal that is ignored, such as SIGHUP under ``nohup``, stays ignored. A handler that
    somebody else has set stays as well.

    Args:
        say: prints what a run that is ended by force leaves; it gets the signal.
    """

    def __init__(self, say: Callable[[int], object]) -> None:
        self._say = say
        self._first: tuple[int, float] | None = None
        self._over = False
        self._handled: list[int] = []
        self._taken: frozenset[int] = frozenset()
        self._pipe: tuple[int, int] | None = None

    def __enter__(self) -> EndingSignals:
        """Take the signals over."""
        if threading.current_thread() is not threading.main_thread():
            return self
        usual = (signal.SIG_DFL, signal.default_int_handler)
        for number in SIGNALS:
            if signal.getsignal(number) in usual:
                signal.signal(number, self._handle)
                self._handled.append(number)
        # ``finish`` empties the list, maybe before the thread has read the signal's number.
        self._taken = frozenset(self._handled)
        self._pipe = os.pipe()
        for descriptor in self._pipe:
            os.set_blocking(descriptor, descriptor == self._pipe[0])
        # The system writes the number of a signal here, also while the main thread computes.
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="ending", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Say that the work is over: later signals raise nothing.

        After an interruption they are ignored, because the process is ending. Otherwise they end
        it in the system's way, without a traceback.
        """
        self._over = True
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL if self._first is None else signal.SIG_IGN)
        self._handled.clear()
        if self._first is None and self._pipe is not None:
            signal.set_wakeup_fd(-1)
            # The thread ends when nothing can be written any more.
            os.close(self._pipe[1])
            self._pipe = None

    def leave(self) -> None:
        """End the process at once, if a signal has ended the work; otherwise do nothing.

        Python takes seconds to take large libraries apart, and nothing of that is needed.
        """
        if self._first is not None:
            # Among these functions are those that remove temporary files.
            atexit._run_exitfuncs()
            _leave(self._first[0])

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """React to a signal; Python calls this in the main thread."""
        if self._first is None:
            self._first = (number, monotonic())
            if _imports(frame):
                atexit._run_exitfuncs()
                self._force(number)
            raise Terminated(number) if number != signal.SIGINT else KeyboardInterrupt
        if monotonic() - self._first[1] >= REPEAT_SECONDS:
            self._force(self._first[0])

    def _watch(self) -> None:
        """End what is left some seconds after a signal; a thread runs this."""
        assert self._pipe is not None
        number = _next_signal(self._pipe[0], self._taken)
        if number is None:
            return
        sleep(CHILDREN_SECONDS)
        _kill_children()
        sleep(FORCE_SECONDS - CHILDREN_SECONDS)
        self._force(number)

    def _force(self, number: int) -> None:
        _kill_children()
        if not self._over:
            with contextlib.suppress(Exception):
                self._say(number)
        _leave(number)


def _imports(frame: FrameType | None) -> bool:
    """Return whether a frame or one of its callers imports a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(number: int) -> NoReturn:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    _exit_now(exit_code(number))


def _next_signal(descriptor: int, taken: Container[int]) -> int | None:
    """Wait for one of the signals ``taken``; None where the other end was closed."""
    while numbers := os.read(descriptor, 64):
        for number in numbers:
            # Other signals write their numbers as well: alarms, and those that somebody handles.
            if number in taken and signal.getsignal(number) != signal.SIG_IGN:
                return number
    os.close(descriptor)
    return None


def _kill_children() -> None:
    """Kill the processes that this one started with ``multiprocessing``."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for child in active_children():
            child.kill()
