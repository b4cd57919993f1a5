"""Processes of other machines that search for one cell: who has which examples, and who is lost.

The pool knows nothing of how the machines are connected. A backend gives it the calls.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from robench._base.errors import RobenchError
from robench.evaluation.remote_work import Problem
from robench.search.attack import Trial, Verdict
from robench.search.engine import BATCH
from robench.search.problems import bounded
from robench.search.unchanged import VictimChanged

if TYPE_CHECKING:
    from robench.search.jobs import Job
    from robench.search.workers import WorkerPlan

LOOK_SECONDS = 1.0
"""Seconds between two looks at the deadlines."""
PATIENT_SECONDS = 30.0
"""Seconds without any process after which the run says that it waits."""
LATE_SECONDS = 60.0
"""Seconds beyond the time limits of its examples at which a process is ended."""
MOST_TOGETHER = 2
"""Losses after which an example is tried alone."""
MOST_ALONE = 3
"""Losses of an example alone in its process after which it is an error."""
MOST_IN_A_ROW = 12
"""Processes in a row that may be lost without a trial; then the cell is given up."""
MOST_SAID = 5
"""Losses that are said aloud."""


class Calls(Protocol):
    """How processes of other machines are started, called and ended.

    A call that fails because its process has died raises LookupError.
    """

    def start(self) -> Any:
        """Start a process, and return what the other calls know it by."""

    def load(self, process: Any) -> Any:
        """Begin to load; the result is a ``Problem`` or None."""

    def attack(self, process: Any, jobs: list[Job]) -> Any:
        """Begin to attack; the items are trials or a ``Problem``."""

    def finish(self, process: Any) -> Any:
        """Begin the last checks; the result is a ``Problem`` or None."""

    def ready(self, calls: list[Any], seconds: float) -> list[Any]:
        """Return the calls that have a result or an item."""

    def result(self, call: Any) -> Any:
        """Return the result of a call."""

    def next_item(self, call: Any) -> Any:
        """Return the next item of a call; None at its end."""

    def end(self, process: Any) -> None:
        """End a process."""


@dataclass(eq=False)
class _Process:
    """One process of another machine.

    Attributes:
        handle: what the calls know it by.
        call: what it is doing.
        doing: ``"load"``, ``"attack"`` or ``"idle"``.
        jobs: id -> its examples that have no trial yet.
        since: when its last item came.
    """

    handle: Any
    call: Any
    doing: str = "load"
    jobs: dict[str, Job] = field(default_factory=dict)
    since: float = field(default_factory=monotonic)


class RemotePool:
    """Attack examples in processes of other machines.

    Args:
        calls: how processes are reached.
        plan: what they need to know.
        say: receives a sentence when a process is lost.
    """

    def __init__(self, calls: Calls, plan: WorkerPlan, say: Callable[[str], None]) -> None:
        self._calls, self._plan, self._say = calls, plan, say
        self._todo: deque[Job] = deque()
        self._alone: deque[Job] = deque()
        self._processes: list[_Process] = []
        self._size = 1
        self._lost: Counter[str] = Counter()
        self._lost_alone: Counter[str] = Counter()
        self._in_a_row = self._said = 0
        self._loaded = self._told_waiting = False
        self._began = monotonic()

    def trials(self, jobs: Sequence[Job], processes: int) -> Iterator[Trial]:
        """Yield the trials of ``jobs`` as they arrive; see ``Backend.search``."""
        self._todo.extend(jobs)
        self._size = max(1, min(processes, len(jobs)))
        try:
            while self._left():
                self._start()
                busy = {id(each.call): each for each in self._processes if each.doing != "idle"}
                calls = [each.call for each in self._processes if each.doing != "idle"]
                for call in self._calls.ready(calls, LOOK_SECONDS):
                    yield from self._receive(busy[id(call)])
                self._look()
            self._finish()
        finally:
            for process in self._processes:
                self._calls.end(process.handle)
            self._processes.clear()

    def _left(self) -> bool:
        """Return whether examples are left; processes that only load are not waited for."""
        return bool(self._todo or self._alone or any(each.jobs for each in self._processes))

    def _start(self) -> None:
        """Give idle processes work, and start as many as there is work for."""
        for process in self._processes:
            if process.doing == "idle":
                self._assign(process)
        busy = sum(bool(each.jobs) for each in self._processes)
        wanted = min(self._size, len(self._todo) + len(self._alone) + busy)
        for _ in range(wanted - len(self._processes)):
            handle = self._calls.start()
            self._processes.append(_Process(handle, self._calls.load(handle)))

    def _receive(self, process: _Process) -> Iterator[Trial]:
        """Read one result or item of a process, and react to it."""
        try:
            if process.doing == "load":
                _refuse(self._calls.result(process.call))
                self._loaded = True
                self._assign(process)
                return
            item = self._calls.next_item(process.call)
        except LookupError as error:
            yield from self._gone(process, str(error))
            return
        process.since = monotonic()
        if item is None:
            # Each example should have a trial; one that has none is tried again.
            self._todo.extend(process.jobs.values())
            self._assign(process)
            return
        _refuse(item)
        # The first examples of a guest come again for a comparison, as in worker processes.
        if process.jobs.pop(item.id, None) is not None:
            self._in_a_row = 0
            yield item

    def _assign(self, process: _Process) -> None:
        """Give a process examples; it is idle where there are none."""
        if self._alone:
            jobs = [self._alone.popleft()]
        else:
            # Batches shrink towards the end, so that all processes end at about the same time.
            share = max(1, min(BATCH, len(self._todo) // (2 * self._size)))
            jobs = [self._todo.popleft() for _ in range(min(share, len(self._todo)))]
        process.jobs = {job.example.id: job for job in jobs}
        process.since = monotonic()
        process.doing = "attack" if jobs else "idle"
        process.call = self._calls.attack(process.handle, jobs) if jobs else None

    def _gone(self, process: _Process, reason: str) -> Iterator[Trial]:
        """Remove a process that was lost, and decide what becomes of its examples.

        Raises:
            RobenchError: so many were lost in a row that the cell is given up.
        """
        self._processes.remove(process)
        self._in_a_row += 1
        if self._in_a_row >= MOST_IN_A_ROW:
            raise RobenchError(
                f"{MOST_IN_A_ROW} processes in a row were lost without a trial ({reason}). "
                "Finished trials are kept. Try fewer --workers, or look at the machines."
            )
        alone = len(process.jobs) == 1
        back: list[Job] = []
        for example, job in process.jobs.items():
            self._lost[example] += 1
            self._lost_alone[example] += alone
            if self._lost_alone[example] >= MOST_ALONE:
                problem = f"the process of another machine died on it {MOST_ALONE} times"
                yield Trial(
                    id=example,
                    verdict=Verdict.ERROR,
                    label=job.example.label,
                    prediction=None,
                    problem=f"{problem} ({bounded(reason)})",
                )
            elif self._lost[example] >= MOST_TOGETHER:
                self._alone.append(job)
            else:
                back.append(job)
        self._todo.extendleft(reversed(back))
        self._tell(reason, len(process.jobs))

    def _tell(self, reason: str, examples: int) -> None:
        """Say that a process was lost; the first few times only."""
        self._said += 1
        if self._said <= MOST_SAID:
            last = " Further ones are not named." if self._said == MOST_SAID else ""
            self._say(
                f"A process of another machine was lost ({bounded(reason)}); its {examples} "
                f"unfinished examples are tried again.{last}"
            )

    def _look(self) -> None:
        """End processes whose searches take too long, and say when no process could start."""
        limit = self._plan.settings.example_seconds
        now = monotonic()
        for process in self._processes:
            if limit is None or process.doing != "attack":
                continue
            if now - process.since > limit * len(process.jobs) + LATE_SECONDS:
                # It is noticed as lost at the next read.
                self._calls.end(process.handle)
        if not self._loaded and not self._told_waiting and now - self._began > PATIENT_SECONDS:
            self._told_waiting = True
            self._say(
                "No process has started yet. The run waits until a machine of the cluster has a "
                "free core or GPU and has loaded the victim."
            )

    def _finish(self) -> None:
        """Let every process check its victim; one that is lost now can say nothing.

        Raises:
            RobenchError: a victim has changed, or an attack keeps state.
        """
        checks = []
        for process in self._processes:
            if process.doing == "load":
                continue
            try:
                self._drain(process)
                checks.append(self._calls.finish(process.handle))
            except LookupError as error:
                self._tell(str(error), 0)
        for check in checks:
            try:
                found = self._calls.result(check)
            except LookupError as error:
                self._tell(str(error), 0)
            else:
                _refuse(found)

    def _drain(self, process: _Process) -> None:
        """Read what follows the last trial of a process.

        Raises:
            RobenchError: it is a problem.
        """
        while process.doing == "attack" and (item := self._calls.next_item(process.call)):
            _refuse(item)
        process.doing = "idle"


def _refuse(found: Any) -> None:
    """Raise the error that a problem names.

    Raises:
        RobenchError: ``found`` is a problem.
    """
    if isinstance(found, Problem):
        raise (VictimChanged if found.changed else RobenchError)(found.sentence)
