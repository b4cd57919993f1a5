"""The engine: it attacks many examples at once and pools their rows into full forward passes.

Each example runs as blocking code in its own greenlet, from the clean prediction to the verdict.
A query pauses the greenlet, and the engine continues with the others. The victim computes only when
some row length has rows for a full forward pass, or when no example can continue without one. New
examples start only while no forward pass is full, so memory does not grow with their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import NDArray

from robench._base.arithmetic import one_thread
from robench.search.attack import Attack, Trial
from robench.search.batching import Pool, Purpose, RowRequest
from robench.search.example_run import ExampleRun, SearchSetup, example_rng
from robench.search.example_watch import ExampleWatch
from robench.search.jobs import Job
from robench.search.pulse import Pulse
from robench.search.settings import SearchSettings
from robench.search.shapes import Bucket, Shapes
from robench.search.victim_protocol import SearchVictim, TokenTypes
from robench.search.whitebox import check_access

__all__ = ["Engine", "Job", "example_rng", "run"]

DEFAULT_SETTINGS = SearchSettings()
BATCH = 64
"""Number of jobs taken at once, and maximum number of examples awaiting a clean prediction."""


def run(
    victim: SearchVictim,
    attack: Attack,
    attack_name: str,
    jobs: Iterable[Job],
    settings: SearchSettings = DEFAULT_SETTINGS,
    *,
    shapes: Shapes | None = None,
    max_running: int = 256,
) -> Iterator[Trial]:
    """Attack every job in this process and yield each trial as soon as it is judged.

    The trials come in any order. Torch computes in one thread, as it does in a worker process.

    Args:
        attack_name: part of every example's random stream.
        settings: seed, budget and precision of the search. The caller has to handle ``device``
            and ``workers``.
        shapes: of the forward passes. None takes the usual ones of the victim's device;
            ``robench.search.packing.choose_shapes`` finds out whether these are safe here.
        max_running: maximum number of examples that are under attack at the same time.
    """
    engine = Engine(victim, attack, attack_name, settings, shapes=shapes, max_running=max_running)
    with one_thread():
        yield from engine.trials(_batches(jobs))


@dataclass(eq=False)
class _RunningExample:
    """One example under attack.

    Attributes:
        order: how many examples had started when it did, itself included.
        id: its id.
        label: its true class.
        own_greenlet: where its ``ExampleRun`` runs; None once it has ended.
        seconds: its share of the run so far.
    """

    order: int
    id: str
    label: int
    own_greenlet: greenlet | None = None
    seconds: float = 0.0


class Engine:
    """One run over one victim; ``run`` is the short way to use it.

    ``pulse`` tells a parent process which example runs.
    """

    def __init__(
        self,
        victim: SearchVictim,
        attack: Attack,
        attack_name: str,
        settings: SearchSettings,
        *,
        shapes: Shapes | None = None,
        max_running: int = 256,
        pulse: Pulse | None = None,
    ) -> None:
        check_access(attack, attack_name, victim)
        limit = settings.example_seconds
        self._watch = None if limit is None and pulse is None else ExampleWatch(limit, pulse)
        self._search = SearchSetup(victim, attack, attack_name, settings)
        self._pool = Pool(victim, shapes or Shapes.of(victim), settings.precision)
        self._max_running = max_running
        self._waiting_jobs: deque[Job] = deque()
        self._ready: deque[_RunningExample] = deque()
        self._running: set[_RunningExample] = set()
        self._awaiting_clean: dict[_RunningExample, RowRequest] = {}
        self._max_awaiting_clean = BATCH
        self._failure: Exception | None = None
        self._started = 0

    def trials(self, batches: Iterator[Sequence[Job]]) -> Iterator[Trial]:
        """Attack the jobs of ``batches``; a batch is requested only when there is room for it.

        Ctrl-C and SystemExit, which a signal handler may raise, propagate at once. The trials
        that were finished by then have been yielded. An error in ``batches`` is raised after the
        running examples have ended.
        """
        watch = self._watch
        try:
            with nullcontext() if watch is None else watch.alarms():
                while (example := self._next(batches)) is not None:
                    trial = self._resume(example)
                    if trial is not None:
                        yield trial
        finally:
            self._close()

    def _next(self, batches: Iterator[Sequence[Job]]) -> _RunningExample | None:
        """Return an example that can continue, or a new one; None when all work is done.

        The victim computes until there is one.
        """
        while not self._ready:
            bucket = self._due()
            if bucket is None and self._has_room() and (job := self._next_job(batches)) is not None:
                return self._start(job)
            bucket = bucket or self._next_best()
            if bucket is not None:
                self._forward(bucket)
            elif self._failure is not None:
                raise self._failure
            else:
                return None
        return self._ready.popleft()

    def _due(self) -> Bucket | None:
        """Return what to forward at once: a verdict that has waited too long, or a full pass."""
        return self._pool.overdue() or self._pool.full()

    def _has_room(self) -> bool:
        """Return whether another example may start.

        Small batches mean that few jobs are left, and other workers want them.
        """
        return (
            len(self._running) < self._max_running
            and len(self._awaiting_clean) < self._max_awaiting_clean
        )

    def _next_best(self) -> Bucket | None:
        """Return what to forward when no example can continue without a forward pass.

        Clean texts go first, because a search that starts fills forward passes. Otherwise it is
        the fullest bucket.
        """
        if self._awaiting_clean and len(self._running) < self._max_running:
            return next(iter(self._awaiting_clean.values())).bucket
        return self._pool.fullest()

    def _forward(self, bucket: Bucket) -> None:
        for request in self._pool.forward(bucket):
            if request.failure is not None:
                self._pool.forget(request)
            self._ready.append(request.owner)

    def _next_job(self, batches: Iterator[Sequence[Job]]) -> Job | None:
        if not self._waiting_jobs and self._failure is None:
            try:
                self._waiting_jobs.extend(next(batches, ()))
            except Exception as error:
                self._failure = error
            self._max_awaiting_clean = (
                min(BATCH, len(self._waiting_jobs)) or self._max_awaiting_clean
            )
        return self._waiting_jobs.popleft() if self._waiting_jobs else None

    def _start(self, job: Job) -> _RunningExample:
        """Create the greenlet of one more example."""
        self._started += 1
        example = _RunningExample(self._started, job.example.id, job.example.label)
        example_run = ExampleRun(self._search, job, partial(self._ask, example))
        example.own_greenlet = greenlet(example_run.trial)
        self._running.add(example)
        return example

    def _resume(self, example: _RunningExample) -> Trial | None:
        """Continue an example until it asks or ends; return its trial if it ends."""
        running, watch = example.own_greenlet, self._watch
        assert running is not None
        started = perf_counter()
        result: Trial | None
        if watch is None:
            result = running.switch()
        else:
            result = watch.resume(example.id, running, example.seconds)
        example.seconds += perf_counter() - started
        if not running.dead:
            return None
        if watch is not None:
            result = watch.judged(example.id, example.label, result)
        assert result is not None
        self._running.discard(example)
        # The greenlet and the example refer to each other. Breaking this cycle frees their
        # memory now instead of at the next garbage collection.
        example.own_greenlet = None
        return result.model_copy(update={"seconds": round(example.seconds, 6)})

    def _ask(
        self,
        example: _RunningExample,
        purpose: Purpose,
        types: TokenTypes,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """Pause the example's greenlet, which calls this, until the pool has its answers."""
        watch = self._watch
        if watch is not None:
            watch.hold()
            if purpose == "search":
                watch.check()
        label = example.label if purpose == "search" else None
        request = RowRequest(example, len(ids), example.order, label, purpose)
        self._pool.put(request, types, ids, lengths)
        if purpose == "clean":
            self._awaiting_clean[example] = request
        try:
            getcurrent().parent.switch()
        finally:
            self._awaiting_clean.pop(example, None)
        example.seconds += request.seconds
        if watch is not None:
            watch.release()
        if request.failure is not None:
            raise request.failure
        return request.answers

    def _close(self) -> None:
        """End all running examples, so that no greenlet outlives the run."""
        for example in list(self._running):
            if example.own_greenlet is not None and not example.own_greenlet.dead:
                example.own_greenlet.throw(GreenletExit)
        self._running.clear()


def _batches(jobs: Iterable[Job]) -> Iterator[Sequence[Job]]:
    """Yield jobs in batches; if ``jobs`` raises an error, the jobs before it come first."""
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
