"""What child processes do in tests; they import this module."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing import current_process, get_context, get_start_method
from pathlib import Path

from robench._base.child import start_child


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


def write_facts(path: str, names: tuple[str, ...]) -> None:
    """Write how this process was started, and what it has from the beginning."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    facts = {
        "method": current_process()._start_method,  # type: ignore[attr-defined]
        "imported": [name for name in names if name in sys.modules],
        "environment": {name: os.environ.get(name) for name in names},
        "path": [str(each) for each in sys.path],
        "argv": sys.argv,
        "folder": str(Path.cwd()),
        "interrupts blocked": signal.SIGINT in blocked,
        "start method": get_start_method(),
    }
    Path(path).write_text(json.dumps(facts))


def start_a_grandchild(path: str, names: tuple[str, ...]) -> None:
    start_child(write_facts, path, names, ()).join()


def use_memory(size: int) -> None:
    len(b"x" * size)


def use_memory_and_sleep(size: int) -> None:
    use_memory(size)
    sleep("")


def end(how: int) -> None:
    """End by a signal, or with an exit code where it is negative."""
    if how < 0:
        raise SystemExit(-how)
    os.kill(os.getpid(), how)


def draw(path: str) -> None:
    """Write random numbers that no seed has been set for."""
    import random

    import numpy as np
    import torch

    numbers = random.random(), np.random.rand(), float(torch.rand(1))
    Path(path).write_text(" ".join(map(str, numbers)))


def register_an_end(path: str) -> None:
    atexit.register(Path(path).write_text, "end")


def gone_children(parent: int) -> bool:
    """Return whether a process has no children soon."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    for _ in range(200):
        if not [each for each in path.read_text().split() if lives(int(each))]:
            return True
        time.sleep(0.05)
    return False


def gone(numbers: Sequence[int]) -> bool:
    """Return whether processes end soon; zombies, which nobody here can collect, have ended."""
    for _ in range(100):
        if not any(map(lives, numbers)):
            return True
        time.sleep(0.05)
    return False


def lives(number: int) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
