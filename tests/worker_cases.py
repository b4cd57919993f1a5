"""Attacks that misbehave on some examples; worker processes import this module and have them."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import repeat
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from fake_victims import load_linear

from robench import ATTACKS, Attack, Options
from robench.search import worker_process
from robench.search.engine import Engine
from robench.testing.victims import FakeVictim

BAD = "w39"
"""The word of the examples on which the attacks misbehave."""


def _swallow() -> None:
    while True:
        try:
            while True:
                time.sleep(0.001)
        except BaseException:
            continue


def _kill(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def _loop() -> None:
    while True:
        pass


def _meddle() -> None:
    for each in gc.get_objects():
        if isinstance(each, FakeVictim):
            each.logits = each.logits.__get__(each)  # type: ignore[method-assign]


HOWS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "exit": lambda: sys.exit(0),
    "os-exit": lambda: os._exit(0),
    "hidden-exit": lambda: ctypes.CDLL(None)._exit(0),
    "abort": lambda: os.abort(),
    "kill": lambda: _kill("SIGKILL"),
    "crash": lambda: _kill("SIGSEGV"),
    "loop": _loop,
    "sleep": lambda: time.sleep(600),
    "swallow": _swallow,
    # C code that never looks for signals and never gives Python's lock back.
    "hold": lambda: deque(repeat(0), maxlen=0),
    "meddle": _meddle,
    "fork": os.fork,
    # The thread keeps its process.
    "thread": lambda: threading.Thread(target=time.sleep, args=(600,)).start(),
}
"""How an attack misbehaves."""


class Unruly(Attack):
    """Ask once; then misbehave on the examples with the word ``BAD``."""

    class Options(Options):
        how: str = "exit"
        every: bool = False

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        oracle.logits(space.original()[None])
        if self.options.every or BAD in space.words:  # type: ignore[attr-defined]
            HOWS[self.options.how]()  # type: ignore[attr-defined]


class Endless(Attack):
    """Ask for ever about texts with the word ``BAD``."""

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        if BAD not in space.words:
            return
        choices = np.zeros((1, len(space.words)), dtype=np.int16)
        while True:
            oracle.logits(choices)
            choices[0, space.positions] = rng.integers(space.sizes[space.positions])


class Remembering(Attack):
    """Ask less of each further example."""

    seen: ClassVar[list[str]] = []

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        self.seen.append("one more")
        for _ in range(max(1, 50 - len(self.seen))):
            oracle.logits(space.original()[None])


class Hiding(Attack):
    """Ask less of each further example, and hide it when an example comes again.

    The method is an option: raise an error, or end the process after the last trial.
    """

    seen: ClassVar[list[str]] = []

    class Options(Options):
        how: str = "raise"
        state: bool = True

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        known = " ".join(space.words)
        how, state = self.options.how, self.options.state  # type: ignore[attr-defined]
        if how == "raise" and known in self.seen:
            raise RuntimeError("seen before")
        if how == "kill" and not self.seen:
            die_after_the_last_job()
        self.seen.append(known)
        for _ in range(max(1, 50 - len(self.seen)) if state else 3):
            oracle.logits(space.original()[None])


def die_after_the_last_job() -> None:
    """Let the process die when it is told that there are no more jobs."""
    whole = worker_process._next_jobs

    def next_jobs(connection: Any) -> Any:
        jobs = whole(connection)
        if jobs is None:
            _kill("SIGKILL")
        return jobs

    worker_process._next_jobs = next_jobs


def _meet(path: Path) -> None:
    """Make a file, and wait until four processes have made theirs."""
    path.touch()
    first = path.name.partition("-")[0]
    for _ in range(3000):
        if len(list(path.parent.glob(f"{first}-*"))) >= 4:
            return
        time.sleep(0.02)


def load_together(folder: Path, device: str) -> FakeVictim:
    """Load the victim of ``linear_jobs`` as soon as four processes load it, and take a while."""
    _meet(folder / f"loading-{os.getpid()}")
    time.sleep(1)
    return load_linear(folder, device)


def load_with_mortal_server(folder: Path, device: str) -> FakeVictim:
    """Load a victim that takes its time.

    When there are no more jobs, four processes wait for each other, and their server dies, once.
    """
    whole, server = worker_process._next_jobs, os.getppid()

    def next_jobs(connection: Any) -> Any:
        jobs = whole(connection)
        if jobs is None and not (folder / "died").exists():
            _meet(folder / f"done-{os.getpid()}")
            (folder / "died").touch()
            os.kill(server, signal.SIGKILL)
            time.sleep(60)
        return jobs

    def wait(_: object, logits: Any) -> Any:
        time.sleep(0.03)
        return logits

    worker_process._next_jobs = next_jobs
    victim = load_linear(folder, device)
    victim.twist = wait
    return victim


def load_sending_twice(folder: Path, device: str) -> FakeVictim:
    """Load the victim; the trial of the example "fake/0100" is sent twice."""

    def trials(self: Engine, batches: Any) -> Any:
        for trial in own(self, batches):
            yield from [trial] * (1 + (trial.id == "fake/0100"))

    own, Engine.trials = Engine.trials, trials  # type: ignore[method-assign]
    return load_linear(folder, device)


def load_once_mortal(folder: Path, device: str) -> FakeVictim:
    """Load the victim; the first process dies when there are no more jobs."""
    if not (folder / "died").exists():
        (folder / "died").touch()
        die_after_the_last_job()
    return load_linear(folder, device)


def load_in_workers(folder: Path, device: str) -> FakeVictim:
    """Load the victim of ``linear_jobs``; the import of this function registers the attacks."""
    return load_linear(folder, device)


def load_slowly(folder: Path, device: str) -> FakeVictim:
    """Load the victim of ``linear_jobs``, and tell the numbers of the processes that load it."""
    (folder / f"loading-{os.getpid()}").touch()
    time.sleep(1)
    return load_linear(folder, device)


def load_dying(folder: Path, device: str) -> FakeVictim:
    """Die in the first ``deaths`` processes, as the file in ``folder`` says."""
    marker = folder / "deaths"
    deaths = int(marker.read_text())
    if deaths:
        marker.write_text(str(deaths - 1))
        _kill("SIGKILL")
    return load_linear(folder, device)


# Only in workers, because a test process should have no attacks beside robench's own.
if parent_process() is not None:
    ATTACKS.register("unruly")(Unruly)
    ATTACKS.register("endless")(Endless)
    ATTACKS.register("remembering")(Remembering)
    ATTACKS.register("hiding")(Hiding)
