"""What child processes do in tests; they import this module."""

from __future__ import annotations

import ctypes
import time
from multiprocessing import get_context
from pathlib import Path


def sleep(_: str) -> None:
    time.sleep(60)


def loop(_: str) -> None:
    while True:
        pass


def hold_the_lock(_: str) -> None:
    """Compute in C without giving Python's lock back, as bad extensions do."""
    ctypes.PyDLL(None).usleep(60_000_000)


def start_another(path: str) -> None:
    """Start a process, which daemons may not."""
    process = get_context("spawn").Process(target=write, args=(path,))
    process.start()
    process.join()


def write(path: str) -> None:
    Path(path).write_text("done")
