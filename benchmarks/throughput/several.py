"""How long a simulated device stands idle where several search processes share it.

*Computed* lets the engines take turns in threads of one process. Each has a clock of its own: the
CPU time of its thread, with jumps where it waits. The engine whose clock is behind goes first, so
the device gets all forward passes in the order of their times. It is as if each search process had
a core for itself, and as if messages and answers took no time. This works on any machine.

*Measured* starts the real processes: search processes, and a device process whose queue waits by
the clock without using the processor. All of them need cores: the device process looks at its
device every tenth of a millisecond and makes the answers up. Other programs on the machine count as
idle time. So the processor time of the search processes, and of the device process, is measured as
well; messages and copies are in it.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from multiprocessing.util import Finalize
from pathlib import Path
from statistics import median
from time import monotonic, process_time, sleep
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision, available_cores
from robench.search.engine import BATCH, run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.worker_plan import Sharing, WorkerPlan
from robench.search.workers import run_workers
from robench.text.words import _split_with as split_memory
from throughput.searches import ITERATIONS, Load, build_attack, make_load
from throughput.simulated import (
    RATES,
    ROWS,
    Clock,
    Device,
    Pending,
    SimulatedVictim,
    copies_in,
)
from throughput.subjects import MAX_TOKENS


@dataclass(frozen=True)
class SharedIdleness:
    """One run.

    Attributes:
        processes: search processes.
        how: ``"computed"`` or ``"measured"``.
        rows: rows that the device answered, without copies.
        idle: share of the run's time in which the device had nothing to do.
        lost: the same, with the time in which it computed rows that fill a forward pass up.
        search: microseconds of the search processes' processor time for each row; None if computed.
        device: the same of the device process.
    """

    rate: int
    words: int
    attack: str
    processes: int
    how: str
    rows: int
    idle: float
    lost: float
    search: float | None = None
    device: float | None = None


class Turns:
    """Lets one of several threads run: the one whose clock is behind.

    Args:
        number: of threads.
    """

    def __init__(self, number: int) -> None:
        self._times = [0.0] * number
        self._changed = threading.Condition()

    def wait(self, me: int, now: float) -> None:
        """Wait until the clock of this thread, which says ``now``, is behind all others."""
        with self._changed:
            self._times[me] = now
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._times.index(min(self._times)) == me)

    def leave(self, me: int) -> None:
        """Wait for this thread no more."""
        with self._changed:
            self._times[me] = inf
            self._changed.notify_all()


class OneOfSeveral(SimulatedVictim):
    """The victim of one engine on a device that others use as well."""

    def __init__(self, rate: float, device: Device, turns: Turns, number: int) -> None:
        super().__init__(rate)
        self.machine, self._turns, self._number = device, turns, number

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> Pending:
        """Queue a forward pass when it is this engine's turn."""
        self._turns.wait(self._number, self.clock.now())
        return super().submit(ids, lengths, types, precision)

    def batches(self, jobs: deque[Job], engines: int) -> Iterator[list[Job]]:
        """Yield jobs as the parent of search processes gives them."""
        while True:
            self._turns.wait(self._number, self.clock.now())
            share = max(1, min(BATCH, len(jobs) // (2 * engines)))
            batch = [jobs.popleft() for _ in range(min(share, len(jobs)))]
            if not batch:
                return
            yield batch

    def attack(self, name: str, jobs: deque[Job], engines: int, budget: int | None) -> float:
        """Attack the jobs in this thread, and return the time at the end."""
        self.clock = Clock()
        self.clock.leave_out(self.clock.worked())
        settings = SearchSettings(budget=budget, precision="bf16")
        several = (job for batch in self.batches(jobs, engines) for job in batch)
        self._turns.wait(self._number, 0.0)
        try:
            for trial in run(self, build_attack(name), name, several, settings):
                if trial.problem is not None and trial.verdict == "error":
                    raise RuntimeError(f"a trial failed: {trial.problem}")
            return self.clock.now()
        finally:
            self._turns.leave(self._number)


def _load(rate: int, words: int, attack: str, rows: int | None) -> Load:
    # What makes texts of a victim asks no more of it than this one can do.
    return make_load(cast("Any", SimulatedVictim(rate)), attack, words, rows or ROWS, None)


def computed(
    rate: int, words: int, attack: str, processes: int, rows: int | None = None
) -> SharedIdleness:
    """Compute the idle share for search processes that have a core each."""
    load = _load(rate, words, attack, rows)
    split_memory.cache_clear()
    device, turns, jobs = Device(rate), Turns(processes), deque(load.jobs)
    victims = [OneOfSeveral(rate, device, turns, number) for number in range(processes)]
    ends: list[float] = []
    threads = [
        threading.Thread(
            target=lambda one=victim: ends.append(one.attack(attack, jobs, processes, load.budget))
        )
        for victim in victims
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(ends) < processes:
        raise RuntimeError("a search failed")
    asked, seconds = sum(victim.asked for victim in victims), max(ends)
    return SharedIdleness(
        rate,
        words,
        attack,
        processes,
        "computed",
        asked,
        1 - device.busy / seconds,
        1 - asked / rate / seconds,
    )


@dataclass(frozen=True)
class Place:
    """Where the processes of one run meet.

    Attributes:
        folder: of a file for each process that is ready, and of the counts of the device.
        rate: rows a second of the device.
        processes: how many become ready.
    """

    folder: Path
    rate: int
    processes: int

    @property
    def counts(self) -> Path:
        """File of the seconds of work, the rows without copies, the last moment, and the processor.

        The last is the processor time of the device process.
        """
        return self.folder / "counts"

    def ready(self) -> None:
        """Say that this process is ready."""
        (self.folder / f"ready-{os.getpid()}").touch()

    def wait(self) -> None:
        """Wait for all processes."""
        while len(self._all()) < self.processes:
            sleep(0.002)

    def _all(self) -> list[Path]:
        return list(self.folder.glob("ready-*"))

    def opened(self) -> float:
        """Return when the last process became ready, in seconds of ``monotonic``."""
        return float((self.folder / "opened").read_text())


class TimedPending:
    """The answers of a forward pass that takes its time by the clock."""

    def __init__(self, moment: float, logits: NDArray[np.float32]) -> None:
        self._moment, self._logits = moment, logits

    def ready(self) -> bool:
        """Return whether the time is over."""
        return monotonic() >= self._moment

    def result(self) -> NDArray[np.float32]:
        """Wait for the end, and return the answers."""
        sleep(max(0.0, self._moment - monotonic()))
        return self._logits


class TimedVictim(SimulatedVictim):
    """A victim in a device process, whose device takes its time by the clock."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.rate)
        self._counts = np.memmap(place.counts, dtype=np.float64, mode="r+", shape=(4,))
        self._before = process_time()

    def submit(  # type: ignore[override]
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> TimedPending:
        """Queue a forward pass."""
        end = self.machine.run(len(ids), monotonic())
        self.asked += len(ids) - copies_in(ids)
        pending = TimedPending(end, self.answers(ids, lengths))
        worked = process_time() - self._before
        self._counts[:] = self.machine.busy, self.asked, end, worked
        return pending


def load_timed(place: Place, device: str) -> TimedVictim:
    """Make the victim of the device process."""
    victim = TimedVictim(place)
    place.ready()
    return victim


def read_at_gate(place: Place) -> SimulatedVictim:
    """Return how the victim reads texts when all processes are ready."""
    reader = SimulatedVictim(place.rate)
    reader.read({"text": "warm up"})
    build_attack("pwws")
    place.ready()
    place.wait()
    (place.folder / "opened").write_text(repr(monotonic()))
    before = process_time()

    def note() -> None:
        path = place.folder / f"worked-{os.getpid()}"
        path.write_text(repr(process_time() - before))

    Finalize(None, note, exitpriority=0)
    return reader


def measured(
    rate: int, words: int, attack: str, processes: int, rows: int | None = None
) -> SharedIdleness:
    """Measure the idle share with real processes, from the moment when all are ready."""
    load = _load(rate, words, attack, rows)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), rate, processes + 1)
        np.zeros(4).tofile(place.counts)
        plan = WorkerPlan(
            place,
            attack,
            {"iterations": ITERATIONS} if attack == "genetic" else {},
            replace(SearchSettings(budget=load.budget, precision="bf16"), device="simulated"),
            Shapes.of(cast("Any", SimulatedVictim(rate))),
            cast("Any", load_timed),
            Sharing(cast("Any", read_at_gate), 2, MAX_TOKENS),
        )
        problems = [
            trial.problem
            for trial in run_workers(plan, load.jobs, processes)
            if trial.verdict == "error"
        ]
        if problems:
            raise RuntimeError(f"a trial failed: {problems[0]}")
        busy, asked, end, device = np.fromfile(place.counts).tolist()
        seconds = end - place.opened()
        search = sum(float(path.read_text()) for path in place.folder.glob("worked-*"))
    return SharedIdleness(
        rate,
        words,
        attack,
        processes,
        "measured",
        int(asked),
        1 - busy / seconds,
        1 - asked / rate / seconds,
        1e6 * search / asked,
        1e6 * device / asked,
    )


def several(
    rate: int, words: int, attack: str, processes: int, repeats: int, rows: int | None = None
) -> list[list[SharedIdleness]]:
    """Compute the idle share of one device, and measure it where there are cores enough."""
    ways = [computed] if processes > available_cores() else [computed, measured]
    return [[way(rate, words, attack, processes, rows) for _ in range(repeats)] for way in ways]


def several_table(runs: Sequence[Sequence[SharedIdleness]]) -> str:
    """Return the table of all devices; each has its repetitions."""
    lines = [
        "Share of its time that a device waits which several search processes share; median "
        "(lowest-highest).",
        "computed: each search process has a core, and messages take no time. measured: real "
        f"processes on {available_cores()} cores",
        "by the clock, where there is a core for each search process.",
        "",
        f"{'attack':9} {'rows/s':>8} {'words':>6} {'processes':>9} {'how':9} {'idle':>22} "
        f"{'goal':>6} {'lost':>7} {'us a row: search':>17} {'device':>7}",
    ]
    for same in runs:
        one, idle = same[0], sorted(each.idle for each in same)
        lines.append(
            f"{one.attack:9} {one.rate:8,} {one.words:6} {one.processes:9} {one.how:9} "
            f"{f'{median(idle):.1%} ({idle[0]:.1%}-{idle[-1]:.1%})':>22} "
            f"{RATES[one.rate].idle:6.0%} {median(each.lost for each in same):7.1%} "
            f"{_median(each.search for each in same):>17} "
            f"{_median(each.device for each in same):>7}"
        )
    return "\n".join(lines)


def _median(values: Iterable[float | None]) -> str:
    known = [each for each in values if each is not None]
    return f"{median(known):.1f}" if known else "-"


def several_figures(runs: Sequence[Sequence[SharedIdleness]]) -> Mapping[str, Any]:
    """Return the medians for the last line: figure -> attack -> rows a second -> processes."""
    found: dict[str, Any] = {}
    for same in runs:
        one = same[0]
        of_rate = found.setdefault(f"simulated_idle_{one.how}", {}).setdefault(one.attack, {})
        of_rate.setdefault(str(one.rate), {})[str(one.processes)] = round(
            median(each.idle for each in same), 4
        )
    return found
