"""The engine in worker processes of one machine; the trials are those of one process.

Each worker process has its own victim and one torch thread, or shares the victim of a device with
others (``WorkerPlan.sharing``). It requests jobs when its engine has room, so no worker is idle
while another has a queue. An example's random stream and the padded
length of its rows do not depend on the process that attacks it.

A worker may die (killed, out of memory, ended by an attack). Trials that it finished are kept, and
only the example whose search ran can be the reason (``worker_deaths``). A worker whose search
misses its deadline is killed. A worker that dies while it loads is started again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from robench._base.child import ended_server, start_child
from robench._base.environment import available_cores, available_memory
from robench._base.errors import RobenchError
from robench.search.attack import Trial, Verdict
from robench.search.engine import BATCH
from robench.search.example_watch import too_long
from robench.search.jobs import Job
from robench.search.pulse import Pulse
from robench.search.shared_device.client import DeviceLine
from robench.search.shared_device.keeper import DeviceKeepers
from robench.search.unchanged import VictimChanged
from robench.search.unchecked import Sample, UncheckedTrials
from robench.search.worker_deaths import Death, Deaths
from robench.search.worker_plan import WorkerPlan, load_victim
from robench.search.worker_process import is_built_in, run_worker

__all__ = ["WorkerPlan", "default_workers", "load_victim", "run_workers"]

GRACE_SECONDS = 5.0
"""Seconds that the system may take to end a killed process, and a process that is done to end."""
LATE_SECONDS = 5.0
"""Seconds after its deadline at which a search that cannot be interrupted costs its process."""
MOST_SAID = 5
"""Deaths of processes of one cell that are said aloud."""
LOOK_SECONDS = 0.5
"""Seconds between two looks at the deadlines."""
WORK_PER_WORKER = 1.1e9
"""Work (parameters x tokens, summed over examples) that is worth the start of one more process.

A start takes some seconds. The figure is that of 100 texts of 25 words on ``tiny``.
"""
EXAMPLES_PER_GPU = 16
"""Examples that are worth the start of a process on one more GPU."""
WORKER_BYTES = 0.6e9
"""Memory of a worker in bytes, without its victim's weights.

While a worker loads the weights, it has two copies of them.
"""


def default_workers(device: str, examples: int, work: float, weights: int) -> int:
    """Choose the number of workers.

    On a CPU it is one for each core that this process may use, bounded by the amount of work and
    by the free memory. On GPUs it is one for each of ``devices_of``.

    Args:
        work: parameters x tokens of one example (``Victim.row_cost``).
        weights: size of the victim's parameters in bytes.
    """
    if not device.startswith("cpu"):
        return max(1, min(len(devices_of(device)), examples // EXAMPLES_PER_GPU))
    worth = examples // max(1, round(WORK_PER_WORKER / work))
    return max(1, min(available_cores(), worth, room_for(weights)))


def room_for(weights: int) -> int:
    """Return for how many processes, each with a model of so many bytes, there is memory."""
    return int(available_memory() * 0.8 / (WORKER_BYTES + 2 * weights))


def devices_of(device: str) -> list[str]:
    """Return the devices that the workers share: for ``"cuda"``, every GPU that torch sees.

    Any other device, such as ``"cuda:1"``, is the only one.
    """
    if device != "cuda":
        return [device]
    import torch

    number = torch.cuda.device_count()
    return [f"cuda:{each}" for each in range(number)] if number > 1 else [device]


def run_workers(
    plan: WorkerPlan,
    jobs: Iterable[Job],
    workers: int,
    say: Callable[[str], None] | None = None,
) -> Iterator[Trial]:
    """Attack every job in ``workers`` processes and yield the trials as they end, in any order.

    Ctrl-C, closing the iterator and errors end all workers at once.

    Args:
        plan: what the workers load.
        jobs: the examples.
        workers: number of processes.
        say: receives a sentence when a worker has died; at most ``MOST_SAID``.

    Raises:
        RobenchError: a worker cannot load the victim or the attack; the message is the worker's.
    """
    pool = _WorkerPool(plan, list(jobs), workers, say)
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
        pulse: which example runs in it.
        device: where its victim is.
        line: to the device process that has the victim; None if it has one itself.
        assigned: jobs that it has and whose trials have not arrived, by example id.
        ready: whether it has loaded the victim.
        leaving: whether it has been told that there are no more jobs.
        late: whether it was killed because a search missed its deadline.
        sample: some of its trials, in case it ends before its checks.
        done_at: when its victim and its attack had passed the checks after the last job, by
            ``monotonic``; None before.
    """

    process: BaseProcess
    connection: Connection
    pulse: Pulse
    device: str
    line: DeviceLine | None = None
    assigned: dict[str, Job] = field(default_factory=dict)
    ready: bool = False
    leaving: bool = False
    late: bool = False
    sample: Sample = field(default_factory=Sample)
    done_at: float | None = None


class _WorkerPool:
    """Assigns jobs, collects trials, and replaces workers that die."""

    def __init__(
        self,
        plan: WorkerPlan,
        jobs: Sequence[Job],
        workers: int,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._plan = plan
        self._say, self._said = say, 0
        self._size = max(1, min(workers, len(jobs)))
        self._devices = devices_of(plan.settings.device)
        self._jobs = deque(jobs)
        self._singly: deque[Job] = deque()
        self._alone: set[str] = set()
        self._workers: list[_Worker] = []
        self._deaths = Deaths(plan.attack)
        self._unchecked = UncheckedTrials(plan.attack)
        self._built_in = is_built_in(plan.attack)
        self._finished = 0
        self._keepers = DeviceKeepers(plan, self._size)

    def trials(self) -> Iterator[Trial]:
        """Yield all trials."""
        limited = self._plan.settings.example_seconds is not None
        while self._jobs or self._singly or self._workers:
            self._start_workers()
            by_connection = {worker.connection: worker for worker in self._workers}
            waited: list[Any] = [*by_connection, *self._keepers.waited_for()]
            look = limited or any(worker.done_at is not None for worker in self._workers)
            for ready in wait(waited, LOOK_SECONDS if look else None):
                if ready in by_connection:
                    yield from self._receive(by_connection[ready])
            for device, cause in self._keepers.look():
                self._say_bounded(
                    f"The device process of {device} ended ({cause}) and is started again; the "
                    "searches wait for it."
                )
            self._kill_late()

    def received(self) -> Iterator[Trial]:
        """Yield trials that have arrived and were not read, without waiting."""
        for worker in self._workers:
            # The connection may be closed, or Ctrl-C may have interrupted a message.
            try:
                while worker.connection.poll():
                    kind, content = worker.connection.recv()
                    if kind == "trial" and content.id not in self._unchecked:
                        yield content
            except Exception:
                continue

    def stop(self) -> None:
        """End every worker. None holds anything that is lost with it."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(GRACE_SECONDS)
            worker.connection.close()
        self._workers.clear()
        self._keepers.stop()

    def _start_workers(self) -> None:
        """Start as many workers as there is work for."""
        staying = [worker for worker in self._workers if not worker.leaving]
        busy = sum(bool(worker.assigned) for worker in staying)
        wanted = min(self._size, len(self._jobs) + len(self._singly) + busy)
        missing = wanted - len(staying)
        if self._plan.sharing is not None:
            # One that is leaving has its place at the device until it has ended.
            missing = min(missing, self._size - len(self._workers))
        for _ in range(missing):
            here, there = get_context("spawn").Pipe()
            pulse = Pulse()
            device = self._least_used_device()
            settings = replace(self._plan.settings, device=device)
            plan = replace(self._plan, settings=settings)
            line = self._keepers.attach(device)
            process = start_child(run_worker, plan, (there, pulse, line))
            there.close()
            if line is not None:
                line.line.close()
            self._workers.append(_Worker(process, here, pulse, device, line))

    def _least_used_device(self) -> str:
        """Return the device with the fewest workers, so that they are spread evenly."""
        used = Counter(worker.device for worker in self._workers)
        return min(self._devices, key=lambda device: used[device])

    def _receive(self, worker: _Worker) -> Iterator[Trial]:
        """Read one message of a worker and react to it."""
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._handle_dead_worker(worker)
            return
        if kind == "failed":
            raise RobenchError(content)
        if kind == "changed":
            raise VictimChanged(content)
        if kind == "unchanged":
            worker.done_at = monotonic()
        if kind == "trial":
            job = worker.assigned.pop(content.id, None)
            if job is None:
                self._unchecked.refuse(content.id)
            if not self._built_in:
                worker.sample.note(job, content)
            yield from self._result(content)
        if kind == "more":
            if not worker.ready:
                worker.ready = True
                self._deaths.loaded()
            self._assign(worker)

    def _result(self, trial: Trial) -> Iterator[Trial]:
        """Yield a trial, unless it came only for a comparison."""
        if not self._unchecked.settle(trial):
            self._finished += 1
            yield trial

    def _assign(self, worker: _Worker) -> None:
        """Send jobs to a worker that requests them.

        A job that is tried singly is sent alone, and no job is added to it.
        """
        if any(example in self._alone for example in worker.assigned):
            jobs: list[Job] = []
        elif self._singly and not worker.assigned:
            jobs = [self._singly.popleft()]
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

    def _kill_late(self) -> None:
        """Kill the workers in which a search could not be ended at its deadline.

        Also those that are done and do not end: a thread of an attack may keep its process.
        """
        for worker in self._workers:
            if worker.done_at is not None and monotonic() - worker.done_at > GRACE_SECONDS:
                worker.process.kill()
            if worker.pulse.late() > LATE_SECONDS and not worker.late:
                worker.process.kill()
                worker.late = True

    def _handle_dead_worker(self, worker: _Worker) -> Iterator[Trial]:
        """Remove a worker that has ended, and decide what becomes of its examples."""
        worker.process.join(GRACE_SECONDS)
        # It may have closed its connection and live on.
        worker.process.kill()
        worker.connection.close()
        self._workers.remove(worker)
        if worker.line is not None:
            self._keepers.detach(worker.device, worker.line)
        known = self._deaths.is_known(ended_server(worker.process))
        if not worker.ready:
            if not known:
                self._deaths.while_loading(worker.process.exitcode)
            return
        jobs = worker.assigned
        running = worker.pulse.example(jobs)
        # It may have gone on to another example just before it was killed.
        late = worker.late and worker.pulse.late() > LATE_SECONDS
        death = Death(worker.process.exitcode, running, tuple(jobs), late)
        if worker.done_at is None:
            idle = not jobs and not known
            self._jobs.extend(self._unchecked.add(worker.sample, death.cause, idle=idle))
        if known:
            for job in jobs.values():
                (self._singly if job.example.id in self._alone else self._jobs).append(job)
            return
        suspect = death.suspect
        if suspect is not None:
            job = jobs.pop(suspect)
            problem = self._problem(death)
            self._tell(death, problem)
            if problem is None:
                self._try_singly([job])
            else:
                yield from self._result(_error(job, problem))
                self._deaths.fatal(suspect, problem, self._finished)
            self._jobs.extendleft(reversed(jobs.values()))
        else:
            self._tell(death, None)
            self._try_singly(jobs.values())

    def _tell(self, death: Death, problem: str | None) -> None:
        """Say that a worker has died and what follows."""
        # A process that has nothing left to do ends as it should.
        if not death.assigned:
            return
        if death.suspect is None:
            then = "its examples are tried again one at a time"
        elif problem is None:
            then = f"example {death.suspect} is tried again"
        else:
            then = f"example {death.suspect} is an error"
        self._say_bounded(f"A worker process ended ({death.cause}); {then}.")

    def _say_bounded(self, sentence: str) -> None:
        """Say that a process has died; the first few times only."""
        self._said += 1
        if self._say is None or self._said > MOST_SAID:
            return
        last = " Further ones are not named." if self._said == MOST_SAID else ""
        self._say(f"{sentence}{last}")

    def _problem(self, death: Death) -> str | None:
        seconds = self._plan.settings.example_seconds
        if death.late and seconds is not None:
            return too_long(seconds)
        return self._deaths.problem(death)

    def _try_singly(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._alone.add(job.example.id)
            self._singly.append(job)


def _error(job: Job, problem: str) -> Trial:
    return Trial(
        id=job.example.id,
        verdict=Verdict.ERROR,
        label=job.example.label,
        prediction=None,
        problem=problem,
    )
