"""Processes that end with the process that started them.

A parent that is killed cannot end its children. So each child waits for its parent's end in a
thread, and on Linux the system kills it as well. This begins before the child imports anything
large. A child of the fork server is killed with the server, and the server with the parent.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import current_process, get_context, parent_process, set_start_method
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from robench._base import server_process
from robench._base.errors import UsageError
from robench._base.fork_server import SERVER
from robench._base.forked_process import ForkedProcess, without_interrupts
from robench._base.process_end import killed_with_starter

_exit_now = os._exit
_LOOK_SECONDS = 1.0
"""Seconds between two notes of a forked child's peak memory."""
_peaks: list[Any] = []
"""In shared memory, the peak memory of each forked child, in the system's unit."""


def start_child(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls ``function`` and ends with this one.

    It does not get Ctrl-C, which only this process handles. The first process may take some
    seconds, in which this one waits.

    Args:
        function: an importable function.
        arguments: of the function. They are pickled here, and read in the child only after it
            watches its parent. Connections and shared memory come last, in a tuple.

    Raises:
        UsageError: this process is a daemon of multiprocessing, which may start none.
    """
    if current_process().daemon:
        raise UsageError(
            "This process is a daemon of multiprocessing, such as one of a Pool, and may start no "
            "processes. Give workers=1, or start it with concurrent.futures."
        )
    *plain, shared = arguments
    content = pickle.dumps((function, plain))
    forked = _forked(function.__module__, content, shared)
    if forked is not None:
        return forked
    # Linux sends its signal when the thread that started the child ends.
    main = threading.current_thread() is threading.main_thread()
    starter = os.getpid() if main else None
    process = get_context("spawn").Process(
        target=run_child, args=(starter, content, shared), daemon=True
    )
    with without_interrupts():
        process.start()
    return process


def _forked(module: str, content: bytes, shared: tuple[Any, ...]) -> BaseProcess | None:
    """Return a process that the fork server has started; None where it cannot be used."""
    peak = get_context("spawn").RawValue("Q", 0)
    try:
        arguments = dict(os.environ), peak, content, shared
        process = SERVER.process(run_forked, arguments, module)
        if process is not None:
            process.start()
    except (OSError, EOFError):
        # The server has ended, or none can be started.
        SERVER.failed()
        return None
    if process is not None:
        _peaks.append(peak)
    return process


def ended_server(process: BaseProcess) -> int | None:
    """Return the number of the fork server with which a process has ended.

    None means that it ended by itself, or was killed by itself.
    """
    return process.ended_server if isinstance(process, ForkedProcess) else None


def peak_of_forked() -> int:
    """Return the largest peak memory of a forked child, in the unit of ``ru_maxrss``.

    ``getrusage`` knows only the children that Python started anew. The last second of a child that
    was killed is not counted.
    """
    return max((int(each.value) for each in _peaks), default=0)


def run_child(starter: int | None, content: bytes, shared: tuple[Any, ...]) -> None:
    """Run the pickled function in a new Python; the process ends when its parent does.

    Args:
        starter: number of the process whose main thread started this one; None if another thread
            did.
        content: the function and its first arguments, pickled.
        shared: its last arguments.
    """
    _end_with_parent(starter)
    _call(content, shared)


def run_forked(
    environment: dict[str, str], peak: Any, content: bytes, shared: tuple[Any, ...]
) -> None:
    """Do in a child of the fork server what ``run_child`` does in a new Python.

    Args:
        environment: of the parent.
        peak: where the child notes its peak memory.
        content: as in ``run_child``.
        shared: as in ``run_child``.
    """
    # The server may have ended before, and this process has another parent then. No process has
    # the number 0.
    _end_with_parent(server_process.number or 0, peak)
    server_process.take_environment({**dict.fromkeys(os.environ), **environment})
    set_start_method("spawn", force=True)
    _draw_other_numbers()
    try:
        _call(content, shared)
    finally:
        # A forked child of multiprocessing leaves them out, and a new Python does not.
        atexit._run_exitfuncs()
        _note_peak(peak)


def _draw_other_numbers() -> None:
    """Let the libraries draw other random numbers than the children of the same server."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed()
    if torch is not None:
        torch.seed()


def _note_peak(peak: Any) -> None:
    from resource import RUSAGE_SELF, getrusage

    peak.value = getrusage(RUSAGE_SELF).ru_maxrss


def _call(content: bytes, shared: tuple[Any, ...]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # It is a daemon for its parent only. Plugins may start processes of their own here.
    current_process().daemon = False
    function, arguments = pickle.loads(content)
    function(*arguments, *shared)


def _end_with_parent(starter: int | None, peak: Any = None) -> None:
    """End this process when its parent ends.

    Args:
        starter: number of the process that has started this one, to be watched by the system as
            well; None where it must not be, because only one of its threads started this one.
        peak: where the peak memory is noted until then, if anywhere.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        while not wait([parent.sentinel], None if peak is None else _LOOK_SECONDS):
            _note_peak(peak)
        _exit_now(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    # The thread cannot run while foreign code holds Python's lock.
    if starter is not None:
        killed_with_starter()
        # One of the two may have ended before.
        if os.getppid() != starter or wait([parent.sentinel], 0):
            _exit_now(1)
