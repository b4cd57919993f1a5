"""The engine: it attacks many examples at once and pools their rows into full forward passes.

Each example runs as blocking code in its own greenlet, from the clean prediction to the verdict.
A query pauses the greenlet, and the engine continues with the others. The search itself runs in a
further greenlet (``robench.search.conversation``). After every switch the engine looks at the state
of the example, never at what came back, because a plugin can switch greenlets too.

The victim computes only when some row length has rows for a full forward pass, or when no example
can continue without one. New examples start only while no forward pass is full, so memory does not
grow with their number. A victim with a queue (a GPU) computes while the examples continue: the next
forward passes are packed before the answers of the present one are there. While it is busy, a few
examples start ahead. If it has had nothing to do for a while, it gets what waits.
"""

from __future__ import annotations

import logging
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
from robench._base.signals import raise_if_signalled, watching_signals
from robench.search.attack import Attack, Trial, Verdict
from robench.search.batching import Pool, Purpose, RowRequest
from robench.search.example_run import ExampleRun, SearchSetup, example_rng
from robench.search.example_watch import ExampleWatch
from robench.search.jobs import Job
from robench.search.problems import bounded, describe_error
from robench.search.pulse import Pulse
from robench.search.settings import SearchSettings
from robench.search.shapes import Bucket, Shapes
from robench.search.victim_protocol import SearchVictim, TokenTypes
from robench.search.whitebox import check_access

__all__ = ["Engine", "Job", "example_rng", "run"]

logger = logging.getLogger(__name__)

DEFAULT_SETTINGS = SearchSettings()
BATCH = 64
"""Number of jobs taken at once, and maximum number of examples awaiting a clean prediction."""
HALF = 0.5
"""Share of a forward pass that is worth starting while the answers of another are awaited."""
AHEAD = 16
"""Full forward passes that wait while a device computes; with fewer, more examples start.

They bring the rows that follow. To start an example takes as long as some forward passes.
"""
FEW = 16
"""Examples that continue while a device has nothing to do; then it gets the rows that wait."""
LEFT = "the search left its greenlet instead of asking, returning or raising"


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
        id, label: of the example.
        own_greenlet: where its ``ExampleRun`` runs; None once it has ended.
        request: the rows that it waits for; None while it runs.
        trial: its trial, once it has ended.
        seconds: its share of the run so far.
    """

    order: int
    id: str
    label: int
    own_greenlet: greenlet | None = None
    request: RowRequest | None = None
    trial: Trial | None = None
    seconds: float = 0.0

    def run(self, example_run: ExampleRun) -> None:
        """Run the example to its trial; this is what its greenlet runs."""
        self.trial = example_run.trial()


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
        self._started = self._continued = 0
        self._hub = getcurrent()

    def trials(self, batches: Iterator[Sequence[Job]]) -> Iterator[Trial]:
        """Attack the jobs of ``batches``; a batch is requested only when there is room for it.

        What a signal handler raises (Ctrl-C, SystemExit) propagates at once, even if a search
        swallows it. The trials that were finished by then have been yielded. The same exceptions,
        raised by an attack itself, make an ERROR trial. An error in ``batches`` is raised after
        the running examples have ended.
        """
        watch = self._watch
        try:
            with watching_signals(), nullcontext() if watch is None else watch.alarms():
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
        while not self._keep_going():
            bucket = self._due()
            early = bucket is None or self._has_time()
            if early and self._has_room() and (job := self._next_job(batches)) is not None:
                return self._start(job)
            if self._pool.flying and (bucket is None or not self._pool.has_room):
                # What comes back makes the searches ask for more, so half a forward pass waits.
                bucket = self._pool.fullest(HALF) if self._pool.has_room else None
                if bucket is None:
                    self._deliver(self._pool.collect(wait=True))
                    continue
            bucket = bucket or self._next_best()
            if bucket is not None:
                self._deliver(self._pool.start(bucket))
            elif self._failure is not None:
                raise self._failure
            else:
                return None
        return self._ready.popleft()

    def _keep_going(self) -> bool:
        """Return whether an example can continue.

        If the victim has a queue, the answers that are there come first. Then the queue gets what
        it has room for, so that the victim computes while the examples continue.
        """
        pool = self._pool
        # To ask the device takes time, so it is asked at every fourth example.
        if pool.flying and len(self._ready) % 4 == 0:
            self._deliver(pool.collect(wait=False))
        while pool.has_room and (bucket := self._due() or self._for_an_idle_device()) is not None:
            self._continued = 0
            self._deliver(pool.start(bucket))
        self._continued += 1
        return bool(self._ready)

    def _for_an_idle_device(self) -> Bucket | None:
        """Return a forward pass that is not full, for a device that has long had nothing to do.

        The first query of a search is often a single row. Without its answer the search brings no
        further rows, so many examples would have to start before one forward pass is full.
        """
        if self._pool.flying or self._continued < FEW:
            return None
        return self._pool.fullest()

    def _due(self) -> Bucket | None:
        """Return what to forward at once: a verdict that has waited too long, or a full pass."""
        return self._pool.overdue() or self._pool.full()

    def _has_time(self) -> bool:
        """Return whether to start an example although a forward pass is full.

        It is so if the device is busy and few rows wait for it. A few examples start at a time,
        because what they do before their first query takes long.
        """
        pool = self._pool
        busy = pool.flying and not pool.has_room
        return busy and pool.waiting < AHEAD and len(self._awaiting_clean) < FEW

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

    def _deliver(self, requests: Iterable[RowRequest]) -> None:
        """Let the examples continue whose requests have all their answers, or have failed."""
        for request in requests:
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
        example.own_greenlet = greenlet(partial(example.run, example_run))
        self._running.add(example)
        return example

    def _resume(self, example: _RunningExample) -> Trial | None:
        """Continue an example until it asks or ends; return its trial if it ends."""
        running, watch, self._hub = example.own_greenlet, self._watch, getcurrent()
        # A search of a plugin has queried for an example that has ended already.
        if running is None:
            return None
        started, problem = perf_counter(), LEFT
        try:
            if watch is None:
                running.switch()
            else:
                watch.resume(example.id, running, example.seconds)
        except BaseException as error:
            raise_if_signalled()
            # An error of the core, or one with which the victim ends the process.
            if running.dead:
                raise
            # Otherwise a search has thrown it into the engine.
            problem = bounded(f"{LEFT}: {describe_error(error)}")
        example.seconds += perf_counter() - started
        raise_if_signalled()
        if example.trial is None and example.request is not None:
            return None
        trial = example.trial or self._failed(example, problem)
        if watch is not None:
            trial = watch.judged(example.id, trial)
        self._end(example)
        return trial.model_copy(update={"seconds": round(example.seconds, 6)})

    def _failed(self, example: _RunningExample, problem: str) -> Trial:
        """Return the trial of an example that is neither waiting nor judged."""
        return Trial(
            id=example.id,
            verdict=Verdict.ERROR,
            label=example.label,
            prediction=None,
            problem=problem,
        )

    def _end(self, example: _RunningExample) -> None:
        """End an example's greenlet, if it has not ended, and forget the example."""
        running, example.own_greenlet = example.own_greenlet, None
        self._running.discard(example)
        if example.request is not None:
            self._pool.forget(example.request)
        # The greenlet and the example refer to each other. Breaking this cycle above frees their
        # memory now instead of at the next garbage collection.
        if running is None or running.dead:
            return
        running.parent = getcurrent()
        try:
            running.throw(GreenletExit)
        except Exception as error:
            logger.debug("example %s did not end cleanly: %s", example.id, describe_error(error))

    def _ask(
        self,
        example: _RunningExample,
        purpose: Purpose,
        types: TokenTypes,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """Pause the example's greenlet, which calls this, until the pool has its answers."""
        if example.own_greenlet is None:
            raise GreenletExit
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
        example.request = request
        # A search of another example may switch here too early, so the answers are looked for.
        try:
            while request.missing > 0:
                self._hub.switch()
        finally:
            example.request = None
            self._awaiting_clean.pop(example, None)
        example.seconds += request.seconds
        if watch is not None:
            watch.release(request.seconds)
        if request.failure is not None:
            raise request.failure
        return request.answers

    def _close(self) -> None:
        """End all running examples, so that no greenlet outlives the run."""
        self._pool.abandon()
        for example in list(self._running):
            self._end(example)
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
