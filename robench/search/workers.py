"""The engine over several processes of one machine, each with its own victim and one torch thread: the same trials as one process.

Workers pull: a worker asks for jobs when its engine has room, so nobody sits idle while another has a queue. Whatever process an example lands in, its
random stream and the length to which its rows are padded are the same. A worker that dies (killed, out of memory) costs nothing that it had finished; what it
had in hand is run once more, one example at a time in a fresh process, so that only the example that kills workers becomes an ERROR.
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
from robench.plugins.options import build_options
from robench.search.attack import Trial, Verdict
from robench.search.batching import Shapes
from robench.search.engine import BATCH, Engine
from robench.search.registry import ATTACKS
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import Job, SearchVictim
from robench.search.whitebox import check_access

GRACE_SECONDS = 5.0
"""How long a worker may take to end before it is killed."""
START = 1.1e9
"""Work (parameters x tokens, summed over examples) that makes one more process worth its start of some seconds: 100 texts of 25 words on ``tiny``."""
FOOTPRINT = 0.6e9
"""Bytes of a worker beside its victim's weights, of which it has a second copy while it loads."""


def load_victim(folder: Path, device: str) -> SearchVictim:
    """The victim saved in ``folder``."""
    from robench.models.victim import Victim

    return Victim.load(folder, device)


@dataclass(frozen=True)
class WorkerPlan:
    """What every worker has to know; travels by pickle, so plugins and the loader go by name.

    Attributes:
        victim: folder of the victim.
        attack: name in the registry.
        options: of the attack.
        settings: of the search.
        shapes: of the forward passes, see ``engine.run``. The parent chooses them, so that all
            workers have the same.
        load: makes a worker's victim from folder and device; an importable function.
    """

    victim: Path
    attack: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: SearchSettings = field(default_factory=SearchSettings)
    shapes: Shapes | None = None
    load: Callable[[Path, str], SearchVictim] = load_victim


def default_workers(device: str, examples: int, work: float, weights: int) -> int:
    """One a core that this process may use, as far as the work is worth it and memory allows; one on a GPU, which a single process keeps busy.

    Args:
        work: an example's, parameters x tokens (``Victim.row_cost``).
        weights: the victim's, in bytes.
    """
    if not device.startswith("cpu"):
        return 1
    worth = examples // max(1, round(START / work))
    room = int(available_memory() * 0.8 / (FOOTPRINT + 2 * weights))
    return max(1, min(available_cores(), worth, room))


def run_workers(plan: WorkerPlan, jobs: Iterable[Job], workers: int) -> Iterator[Trial]:
    """Attack every job in ``workers`` processes and yield the trials as they come, in any order.

    Ctrl-C, closing the iterator and errors end all workers at once.

    Raises:
        RobenchError: a worker cannot load the victim or the attack; the sentence is the worker's own.
    """
    crew = _Crew(plan, list(jobs), workers)
    try:
        yield from crew.trials()
    except KeyboardInterrupt:
        yield from crew.received()
        raise
    finally:
        crew.dismiss()


@dataclass(eq=False)
class _Worker:
    """The parent's view of one process. ``hand``: what it has been given and has not answered."""

    process: BaseProcess
    line: Connection
    hand: dict[str, Job] = field(default_factory=dict)
    ready: bool = False
    leaving: bool = False


class _Crew:
    """Hands out jobs, collects trials, replaces the dead."""

    def __init__(self, plan: WorkerPlan, jobs: Sequence[Job], workers: int) -> None:
        self._plan = plan
        self._size = max(1, min(workers, len(jobs)))
        self._jobs = deque(jobs)
        self._again: deque[Job] = deque()
        self._tried_twice: set[str] = set()
        self._workers: list[_Worker] = []

    def trials(self) -> Iterator[Trial]:
        """All trials."""
        while self._jobs or self._again or self._workers:
            self._staff()
            lines = {worker.line: worker for worker in self._workers}
            for line in wait(list(lines)):
                yield from self._hear(lines[line])  # type: ignore[index]

    def received(self) -> Iterator[Trial]:
        """Trials that have come in and were not yet looked at; never waits."""
        for worker in self._workers:
            try:
                while worker.line.poll():
                    kind, content = worker.line.recv()
                    if kind == "trial":
                        yield content
            except Exception:  # the line is closed, or Ctrl-C came in the middle of a message
                continue

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.line.close()
        self._workers.clear()

    def _staff(self) -> None:
        """Start as many workers as there is work for."""
        staying = [worker for worker in self._workers if not worker.leaving]
        wanted = min(
            self._size,
            len(self._jobs) + len(self._again) + sum(bool(worker.hand) for worker in staying),
        )
        context = get_context("spawn")
        for _ in range(wanted - len(staying)):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(self._plan, there), daemon=True)
            with _without_interrupts():
                process.start()
            there.close()
            self._workers.append(_Worker(process, here))

    def _hear(self, worker: _Worker) -> Iterator[Trial]:
        try:
            kind, content = worker.line.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        if kind == "failed":
            raise RobenchError(content)
        if kind == "trial":
            worker.hand.pop(content.id, None)
            yield content
        if kind == "more":
            worker.ready = True
            self._answer(worker)

    def _answer(self, worker: _Worker) -> None:
        """A worker asks for jobs: an example to be tried again goes alone, and nothing is added to one."""
        alone = any(example in self._tried_twice for example in worker.hand)
        if alone:
            jobs: list[Job] = []
        elif self._again and not worker.hand:
            jobs = [self._again.popleft()]
        else:
            share = max(1, min(BATCH, len(self._jobs) // (2 * self._size)))
            jobs = [self._jobs.popleft() for _ in range(min(share, len(self._jobs)))]
        worker.hand.update((job.example.id, job) for job in jobs)
        worker.leaving = not worker.hand
        try:
            worker.line.send(None if worker.leaving else jobs)
        except OSError:  # it died just now; the next look at its line says so
            return

    def _bury(self, worker: _Worker) -> Iterator[Trial]:
        """A worker is gone: for good if it was told so, otherwise its examples need another."""
        worker.process.join(GRACE_SECONDS)
        worker.line.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        if not worker.ready:
            raise RobenchError(
                f"A worker process ended ({_cause(code)}) before it had loaded the victim. Try fewer --workers: each needs memory for a victim."
            )
        for example, job in worker.hand.items():
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
    """Processes started here never see Ctrl-C (they inherit the mask): it is for the parent, which ends its workers."""
    resource_tracker.ensure_running()  # it starts with the first process otherwise, and lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(plan: WorkerPlan, line: Connection) -> None:
    """A worker's life: load, then attack what the parent hands out until it hands out nothing."""
    try:
        new_engine = _prepare(plan)
    except Exception as error:
        said = (
            str(error)
            if isinstance(error, RobenchError)
            else f"A worker process failed to start ({type(error).__name__}: {error})."
        )
        line.send(("failed", said))
        return
    try:
        while (jobs := _more(line)) is not None:
            for trial in new_engine().trials(_pull(line, jobs)):
                line.send(("trial", trial))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        return


def _prepare(plan: WorkerPlan) -> Callable[[], Engine]:
    attack = ATTACKS.get(plan.attack)
    options = build_options(attack.Options, plan.options, f"attack '{plan.attack}'")
    victim = plan.load(plan.victim, plan.settings.device)
    # Two workers of one thread beat one worker of two. A victim without torch does not import it.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    check_access(search := attack(options), plan.attack, victim)
    return partial(Engine, victim, search, plan.attack, plan.settings, shapes=plan.shapes)


def _more(line: Connection) -> list[Job] | None:
    line.send(("more", None))
    jobs: list[Job] | None = line.recv()
    return jobs


def _pull(line: Connection, jobs: list[Job] | None) -> Iterator[Sequence[Job]]:
    """Batches for the engine, until the parent has nothing to add for now."""
    while jobs:
        yield jobs
        jobs = _more(line)
