"""The engine: many examples at once, their requests pooled into full forwards.

Each example's way from clean prediction to verdict is blocking code in a greenlet of its own. A request parks it; the engine runs on with the others, and
only when a length has rows for a full forward, or nobody can go on without one, does the victim work. New examples are let in only while no forward is full,
so memory does not grow with their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import NDArray

from robench._base.arithmetic import one_thread
from robench.search.attack import Attack, Trial
from robench.search.batching import Bucket, Pool, Purpose, RowRequest, Shapes
from robench.search.example_run import ExampleRun, Search, example_rng
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import Job, SearchVictim, TokenTypes
from robench.search.whitebox import check_access

__all__ = ["Engine", "Job", "example_rng", "run"]

DEFAULTS = SearchSettings()
BATCH = 64
"""Jobs taken at once, and examples at most that wait for their clean prediction."""


def run(
    victim: SearchVictim,
    attack: Attack,
    attack_name: str,
    jobs: Iterable[Job],
    settings: SearchSettings = DEFAULTS,
    *,
    shapes: Shapes | None = None,
    max_running: int = 256,
) -> Iterator[Trial]:
    """Attack every job in this process and yield each trial as soon as it is judged.

    The trials come in any order. Torch computes in one thread, as it does in a worker process.

    Args:
        attack_name: part of every example's random stream.
        settings: seed, budget and precision of the search; ``device`` and ``workers`` are the
            caller's business.
        shapes: of the forward passes. None takes the usual ones of the victim's device;
            ``robench.search.packing.choose_shapes`` finds out whether these are safe here.
        max_running: examples at most that are under attack at the same time.
    """
    engine = Engine(victim, attack, attack_name, settings, shapes=shapes, max_running=max_running)
    with one_thread():
        yield from engine.trials(_batches(jobs))


@dataclass(eq=False)
class _Flight:
    """One example in flight. ``order``: how many were let in with it and before it; ``course``: the greenlet that it runs in."""

    order: int
    label: int
    course: greenlet | None = None
    seconds: float = 0.0


class Engine:
    """One run over one victim; ``run`` is the short way to it."""

    def __init__(
        self,
        victim: SearchVictim,
        attack: Attack,
        attack_name: str,
        settings: SearchSettings,
        *,
        shapes: Shapes | None = None,
        max_running: int = 256,
    ) -> None:
        check_access(attack, attack_name, victim)
        self._search = Search(victim, attack, attack_name, settings)
        self._pool = Pool(victim, shapes or Shapes.of(victim), settings.precision)
        self._most_live = max_running
        self._arrivals: deque[Job] = deque()
        self._ready: deque[_Flight] = deque()
        self._live: set[_Flight] = set()
        self._entering: dict[_Flight, RowRequest] = {}
        self._most_entering = BATCH
        self._failure: Exception | None = None
        self._turns = 0

    def trials(self, batches: Iterator[Sequence[Job]]) -> Iterator[Trial]:
        """Attack what ``batches`` hands out; the next batch is asked for only when there is room for it.

        Ctrl-C and SystemExit (a signal's handler may raise it) come through at once; the trials that were certain by then have been yielded. An error in
        ``batches`` comes through when those in flight have ended.
        """
        try:
            while (flight := self._next(batches)) is not None:
                trial = self._resume(flight)
                if trial is not None:
                    yield trial
        finally:
            self._close()

    def _next(self, batches: Iterator[Sequence[Job]]) -> _Flight | None:
        """An example that can go on, or a new one; the victim works until there is one. None when nothing is left to do."""
        while not self._ready:
            bucket = self._due()
            if bucket is None and self._has_room() and (job := self._next_job(batches)) is not None:
                return self._admitted(job)
            bucket = bucket or self._next_best()
            if bucket is not None:
                self._forward(bucket)
            elif self._failure is not None:
                raise self._failure
            else:
                return None
        return self._ready.popleft()

    def _due(self) -> Bucket | None:
        """What is to be forwarded at once: a verdict that has waited for long, or a full forward."""
        return self._pool.overdue() or self._pool.full()

    def _has_room(self) -> bool:
        """Whether one more may come in. Where jobs are handed out in smaller numbers there are few left, and others who want them."""
        return len(self._live) < self._most_live and len(self._entering) < self._most_entering

    def _next_best(self) -> Bucket | None:
        """What to forward where nobody can go on without: clean texts first, since a search that begins fills forwards, then whatever is fullest."""
        if self._entering and len(self._live) < self._most_live:
            return next(iter(self._entering.values())).bucket
        return self._pool.fullest()

    def _forward(self, bucket: Bucket) -> None:
        for request in self._pool.forward(bucket):
            if request.failure is not None:
                self._pool.forget(request)
            self._ready.append(request.owner)

    def _next_job(self, batches: Iterator[Sequence[Job]]) -> Job | None:
        if not self._arrivals and self._failure is None:
            try:
                self._arrivals.extend(next(batches, ()))
            except Exception as error:
                self._failure = error
            self._most_entering = min(BATCH, len(self._arrivals)) or self._most_entering
        return self._arrivals.popleft() if self._arrivals else None

    def _admitted(self, job: Job) -> _Flight:
        """One more example in flight."""
        self._turns += 1
        flight = _Flight(self._turns, job.example.label)
        flight.course = greenlet(ExampleRun(self._search, job, partial(self._ask, flight)).trial)
        self._live.add(flight)
        return flight

    def _resume(self, flight: _Flight) -> Trial | None:
        """Let an example go on until it asks or ends; its trial where it ends."""
        course = flight.course
        assert course is not None
        started = perf_counter()
        result: Trial | None = course.switch()
        flight.seconds += perf_counter() - started
        if not course.dead:
            return None
        assert result is not None
        self._live.discard(flight)
        flight.course = None  # a greenlet that knows its flight would keep all of it until the garbage collector comes
        return result.model_copy(update={"seconds": round(flight.seconds, 6)})

    def _ask(
        self,
        flight: _Flight,
        purpose: Purpose,
        types: TokenTypes,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """Called in an example's greenlet: park it until the pool has its answers."""
        request = RowRequest(
            flight, len(ids), flight.order, flight.label if purpose == "search" else None, purpose
        )
        self._pool.put(request, types, ids, lengths)
        if purpose == "clean":
            self._entering[flight] = request
        try:
            getcurrent().parent.switch()
        finally:
            self._entering.pop(flight, None)
        flight.seconds += request.seconds
        if request.failure is not None:
            raise request.failure
        return request.answers

    def _close(self) -> None:
        """End what is still in flight, so that no greenlet outlives the run."""
        for flight in list(self._live):
            if flight.course is not None and not flight.course.dead:
                flight.course.throw(GreenletExit)
        self._live.clear()


def _batches(jobs: Iterable[Job]) -> Iterator[Sequence[Job]]:
    """Some at a time; those before one that cannot be had are handed out first."""
    remaining, batch = iter(jobs), []
    try:
        for job in remaining:
            batch.append(job)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
