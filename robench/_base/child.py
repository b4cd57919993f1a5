"""Processes that end with the process that started them.

A parent that is killed cannot end its children. So each child waits for its parent's end in a
thread, and on Linux the system kills it as well. This begins before the child imports anything
large. A child of the fork server is killed with the server, and the server with the parent.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from robench._base.fork_server import server_context, take_environment, without_interrupts
from robench._base.process_end import killed_with_starter

_exit_now = os._exit
_SERVER_ENDED = 255
"""What ``multiprocessing`` says of a process whose fork server has ended."""
_peak: list[Any] = []
"""In shared memory, the largest peak of a forked child that has ended, in the system's unit."""


def start_child(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls ``function`` and ends with this one.

    It does not get Ctrl-C, which only this process handles. The first process may take some
    seconds, in which this one waits.

    Args:
        function: an importable function.
        arguments: of the function. They are pickled here, and read in the child only after it
            watches its parent. Connections and shared memory come last, in a tuple.
    """
    *plain, shared = arguments
    content = pickle.dumps((function, plain))
    context = server_context()
    if context is not None:
        _peak.extend([] if _peak else [context.RawValue("Q", 0)])
        told = (dict(os.environ), _peak[0])
        forked = context.Process(target=run_forked, args=(told, content, shared), daemon=True)
        # It has the signal mask of the server.
        try:
            forked.start()
        except (OSError, EOFError):
            # The server has ended. The next child finds another one.
            pass
        else:
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


def exit_code(process: BaseProcess) -> int | None:
    """Return how a process ended: its exit code, or minus the number of the signal that ended it.

    A process whose fork server was killed was killed with it. ``multiprocessing`` cannot know that,
    and gives it the code 255. It is taken for killed, even if it ended with this code by itself.

    Returns:
        The code; None for a process that runs.
    """
    code = process.exitcode
    forked = getattr(process, "_start_method", None) == "forkserver"
    return -signal.SIGKILL if forked and code == _SERVER_ENDED else code


def peak_of_forked() -> int:
    """Return the largest peak memory of a forked child that has ended, as ``ru_maxrss`` counts.

    ``getrusage`` knows only the children that Python started anew. A killed child is not counted.
    """
    return int(_peak[0].value) if _peak else 0


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


def run_forked(told: tuple[dict[str, str], Any], content: bytes, shared: tuple[Any, ...]) -> None:
    """Run the pickled function in a child of the fork server; see ``run_child``.

    Args:
        told: the parent's environment, and the place for the peak memory.
        content: the function and its first arguments, pickled.
        shared: its last arguments.
    """
    environment, peak = told
    _end_with_parent(os.getppid())
    take_environment(environment)
    try:
        _call(content, shared)
    finally:
        import resource

        peak.value = max(peak.value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _call(content: bytes, shared: tuple[Any, ...]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # It is a daemon for its parent only. Plugins may start processes of their own here.
    current_process().daemon = False
    function, arguments = pickle.loads(content)
    function(*arguments, *shared)


def _end_with_parent(starter: int | None) -> None:
    """End this process when its parent ends.

    Args:
        starter: number of the process that has started this one, to be watched by the system as
            well; None where it must not be, because only one of its threads started this one.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        _exit_now(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    # The thread cannot run while foreign code holds Python's lock.
    if starter is not None:
        killed_with_starter()
        # One of the two may have ended before.
        if os.getppid() != starter or wait([parent.sentinel], 0):
            _exit_now(1)
