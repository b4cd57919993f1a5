"""Processes that end with the process that started them.

A parent that is killed cannot end its children. So each child waits for its parent's end in a
thread, and on Linux the system kills it as well. This begins before the child imports anything
large.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import current_process, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

_exit_now = os._exit
_PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of Linux."""


def child_process(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Return a process, not yet started, that calls ``function`` and ends with this one.

    Args:
        function: an importable function.
        arguments: of the function. They are pickled here, and read in the child only after it
            watches its parent. Connections and shared memory come last, in a tuple.
    """
    *plain, shared = arguments
    # Linux sends its signal when the thread that started the child ends.
    main = threading.current_thread() is threading.main_thread()
    return get_context("spawn").Process(
        target=run_child,
        args=(os.getpid() if main else None, pickle.dumps((function, plain)), shared),
        daemon=True,
    )


def run_child(parent: int | None, content: bytes, shared: tuple[Any, ...]) -> None:
    """Run the pickled function; the process ends when its parent does.

    Args:
        parent: number of the parent, where its main thread started this process.
        content: the function and its first arguments, pickled.
        shared: its last arguments.
    """
    _end_with_parent(parent)
    # It is a daemon for its parent only. Plugins may start processes of their own here.
    current_process().daemon = False
    function, arguments = pickle.loads(content)
    function(*arguments, *shared)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in processes that are started in the block, which inherit the signal mask.

    Only the parent handles it; it ends its children.
    """
    # Otherwise the resource tracker would start with the first process, and it unblocks Ctrl-C.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent(number: int | None) -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        _exit_now(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    # The thread cannot run while foreign code holds Python's lock.
    if number is not None and sys.platform == "linux":
        from ctypes import CDLL

        CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        # It may have ended before.
        if os.getppid() != number:
            _exit_now(1)
