"""The engine in several processes of one machine; the trials are those of one process.

Each worker process has its own victim and one torch thread. It requests jobs when its engine has
room, so no worker is idle while another has a queue. An example's random stream and the padded
length of its rows do not depend on the process that attacks it.

A worker may die (killed, out of memory). Trials that it finished are kept. The examples assigned to
it are tried again, one at a time in a fresh process, so that only the example that kills workers
becomes an ERROR.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from robench._base.environment import available_cores, available_memory
from robench._base.errors import RobenchError
from robench.models.given.source import GivenSource
from robench.plugins.options import build_options
from robench.search.attack import Trial, Verdict
from robench.search.engine import BATCH, Engine
from robench.search.jobs import Job
from robench.search.registry import ATTACKS
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.victim_protocol import SearchVictim
from robench.search.whitebox import check_access

GRACE_SECONDS = 5.0
"""Seconds that a worker may take to end before it is killed."""
WORK_PER_WORKER = 1.1e9
"""Work (parameters x tokens, summed over examples) that is worth the start of one more process.

A start takes some seconds. The figure is that of 100 texts of 25 words on ``tiny``.
"""
WORKER_BYTES = 0.6e9
"""Memory of a worker in bytes, without its victim's weights.

While a worker loads the weights, it has two copies of them.
"""


def load_victim(victim: Path | GivenSource, device: str) -> SearchVictim:
    """Load the victim that robench saved in a folder, or the given model of a source."""
    if isinstance(victim, GivenSource):
        from robench.models.given.loading import load_given

        return load_given(victim, device)
    from robench.models.victim import Victim

    return Victim.load(victim, device)


@dataclass(frozen=True)
class WorkerPlan:
    """Everything that a worker needs to know.

    It is pickled, so plugins and the loader are given by name.

    Attributes:
        victim: folder of a victim that robench saved, or the source of a given model.
        attack: name in the registry.
        options: of the attack.
        settings: of the search.
        shapes: of the forward passes, see ``engine.run``. The parent chooses them, so that all
            workers have the same.
        load: an importable function that loads a worker's victim, given ``victim`` and the device.
    """

    victim: Any
    attack: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: SearchSettings = field(default_factory=SearchSettings)
    shapes: Shapes | None = None
    load: Callable[[Any, str], SearchVictim] = load_victim


def default_workers(device: str, examples: int, work: float, weights: int) -> int:
    """Choose the number of workers.

    On a CPU it is one for each core that this process may use, bounded by the amount of work and
    by the free memory. On a GPU it is one, because a single process keeps it busy.

    Args:
        work: parameters x tokens of one example (``Victim.row_cost``).
        weights: size of the victim's parameters in bytes.
    """
    if not device.startswith("cpu"):
        return 1
    worth = examples // max(1, round(WORK_PER_WORKER / work))
    room = int(available_memory() * 0.8 / (WORKER_BYTES + 2 * weights))
    return max(1, min(available_cores(), worth, room))


def run_workers(plan: WorkerPlan, jobs: Iterable[Job], workers: int) -> Iterator[Trial]:
    """Attack every job in ``workers`` processes and yield the trials as they end, in any order.

    Ctrl-C, closing the iterator and errors end all workers at once.

    Raises:
        RobenchError: a worker cannot load the victim or the attack; the message is the worker's.
    """
    pool = _WorkerPool(plan, list(jobs), workers)
    try:
        yield from pool.trials()
    except KeyboardInterrupt:
        yield from pool.received()
        raise
    finally:
        pool.stop()


@dataclass(eq=False)
class _Worker:
    """One worker process, as its parent sees it.

    Attributes:
        connection: to the process.
        assigned: jobs that it has and whose trials have not arrived, by example id.
        ready: whether it has loaded the victim.
        leaving: whether it has been told that there are no more jobs.
    """

    process: BaseProcess
    connection: Connection
    assigned: dict[str, Job] = field(default_factory=dict)
    ready: bool = False
    leaving: bool = False


class _WorkerPool:
    """Assigns jobs, collects trials, and replaces workers that die."""

    def __init__(self, plan: WorkerPlan, jobs: Sequence[Job], workers: int) -> None:
        self._plan = plan
        self._size = max(1, min(workers, len(jobs)))
        self._jobs = deque(jobs)
        self._again: deque[Job] = deque()
        self._tried_twice: set[str] = set()
        self._workers: list[_Worker] = []

    def trials(self) -> Iterator[Trial]:
        """Yield all trials."""
        while self._jobs or self._again or self._workers:
            self._start_workers()
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection)):
                yield from self._receive(by_connection[connection])  # type: ignore[index]

    def received(self) -> Iterator[Trial]:
        """Yield trials that have arrived and were not read, without waiting."""
        for worker in self._workers:
            # The connection may be closed, or Ctrl-C may have interrupted a message.
            try:
                while worker.connection.poll():
                    kind, content = worker.connection.recv()
                    if kind == "trial":
                        yield content
            except Exception:
                continue

    def stop(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _start_workers(self) -> None:
        """Start as many workers as there is work for."""
        staying = [worker for worker in self._workers if not worker.leaving]
        busy = sum(bool(worker.assigned) for worker in staying)
        wanted = min(self._size, len(self._jobs) + len(self._again) + busy)
        context = get_context("spawn")
        for _ in range(wanted - len(staying)):
            here, there = context.Pipe()
            process = context.Process(target=_run_worker, args=(self._plan, there), daemon=True)
            with _without_interrupts():
                process.start()
            there.close()
            self._workers.append(_Worker(process, here))

    def _receive(self, worker: _Worker) -> Iterator[Trial]:
        """Read one message of a worker and react to it."""
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._handle_dead_worker(worker)
            return
        if kind == "failed":
            raise RobenchError(content)
        if kind == "trial":
            worker.assigned.pop(content.id, None)
            yield content
        if kind == "more":
            worker.ready = True
            self._assign(worker)

    def _assign(self, worker: _Worker) -> None:
        """Send jobs to a worker that requests them.

        An example that is tried again is sent alone, and no job is added to it.
        """
        alone = any(example in self._tried_twice for example in worker.assigned)
        if alone:
            jobs: list[Job] = []
        elif self._again and not worker.assigned:
            jobs = [self._again.popleft()]
        else:
            # Batches shrink towards the end, so that all workers end at about the same time.
            share = max(1, min(BATCH, len(self._jobs) // (2 * self._size)))
            jobs = [self._jobs.popleft() for _ in range(min(share, len(self._jobs)))]
        worker.assigned.update((job.example.id, job) for job in jobs)
        worker.leaving = not worker.assigned
        # A worker that has just died is noticed at the next read from its connection.
        try:
            worker.connection.send(None if worker.leaving else jobs)
        except OSError:
            return

    def _handle_dead_worker(self, worker: _Worker) -> Iterator[Trial]:
        """Remove a worker that has ended, and try the examples assigned to it again.

        An example that was tried twice becomes an ERROR trial.
        """
        worker.process.join(GRACE_SECONDS)
        worker.connection.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        if not worker.ready:
            raise RobenchError(
                f"A worker process ended ({_cause(code)}) before it had loaded the victim. "
                "Try fewer --workers: each needs memory for a victim."
            )
        for example, job in worker.assigned.items():
            if example in self._tried_twice:
                problem = f"the worker process died on it twice ({_cause(code)})"
                yield Trial(
                    id=example,
                    verdict=Verdict.ERROR,
                    label=job.example.label,
                    prediction=None,
                    problem=problem,
                )
            else:
                self._tried_twice.add(example)
                self._again.append(job)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in processes that are started here, which inherit the signal mask.

    Only the parent handles it; it ends its workers.
    """
    # Otherwise the resource tracker would start with the first process, and it unblocks Ctrl-C.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_worker(plan: WorkerPlan, connection: Connection) -> None:
    """Load the victim, then attack the jobs that the parent sends until it sends none."""
    try:
        new_engine = _prepare(plan)
    except RobenchError as error:
        connection.send(("failed", str(error)))
        return
    except Exception as error:
        problem = f"A worker process failed to start ({type(error).__name__}: {error})."
        connection.send(("failed", problem))
        return
    # These errors mean that the parent has ended.
    try:
        while (jobs := _next_jobs(connection)) is not None:
            for trial in new_engine().trials(_batches(connection, jobs)):
                connection.send(("trial", trial))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _prepare(plan: WorkerPlan) -> Callable[[], Engine]:
    """Load the attack and the victim; return a function that makes engines."""
    attack = ATTACKS.get(plan.attack)
    options = build_options(attack.Options, plan.options, f"attack '{plan.attack}'")
    victim = plan.load(plan.victim, plan.settings.device)
    # Two workers of one thread beat one worker of two. A victim without torch does not import it.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    check_access(search := attack(options), plan.attack, victim)
    return partial(Engine, victim, search, plan.attack, plan.settings, shapes=plan.shapes)


def _next_jobs(connection: Connection) -> list[Job] | None:
    """Request jobs from the parent; None means that there are no more."""
    connection.send(("more", None))
    jobs: list[Job] | None = connection.recv()
    return jobs


def _batches(connection: Connection, jobs: list[Job] | None) -> Iterator[Sequence[Job]]:
    """Yield batches for the engine until the parent has no job to add for now."""
    while jobs:
        yield jobs
        jobs = _next_jobs(connection)
