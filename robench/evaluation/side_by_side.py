"""Train several victims at the same time, each in a process of its own (``--parallel-victims``).

A training of a small encoder leaves most of a GPU idle, so several trainings fit on one card. Each
process trains one victim as the run itself would: with the same seed, key and checkpoint. So the
victims are the same however many processes there are, and the run then finds them ready.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from robench._base.child import start_child
from robench._base.errors import RobenchError, UsageError, first_line
from robench._base.hub import no_pointless_retries
from robench._base.no_exit import as_failure, without_exits
from robench.evaluation.chosen_punkt import with_chosen_punkt
from robench.evaluation.resolved_victims import TrainedVictim

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedTask

SECONDS_BETWEEN_NEWS = 0.5
"""Each process reports its progress at most this often."""
SECONDS_TO_END = 10.0
"""How long a process may take to end before it is killed."""


@dataclass
class _Training:
    """One training in its process."""

    victim: TrainedVictim
    title: str
    process: BaseProcess
    news: Connection
    share: float = 0.0
    note: str = ""
    over: bool = False


@dataclass
class SideBySide:
    """The trainings of one run that go on side by side.

    Args:
        request: the evaluation.
        report: receives the progress.
    """

    request: EvaluationRequest
    report: Reporter
    _failed: dict[str, RobenchError] = field(default_factory=dict, init=False)
    _trained: bool = field(default=False, init=False)

    def train(self, tasks: Sequence[ResolvedTask]) -> None:
        """Train the victims of ``tasks`` that do not exist yet.

        A training that fails does not end the others; ``check`` raises its error. Nothing happens
        if fewer than two victims are to be trained, or if the request asks for one at a time.

        Raises:
            UsageError: a launcher started several processes for this run.
        """
        if self.request.parallel_victims < 2:
            return
        _refuse_launcher()
        waiting = self._to_train(tasks)
        if len(waiting) < 2:
            return
        most = min(self.request.parallel_victims, len(waiting))
        self.report.started("training", f"{len(waiting)} victims, {most} side by side", 100)
        with _ending_all() as running:
            left, done = deque(waiting), 0
            while left or running:
                while left and len(running) < most:
                    running.append(self._start(*left.popleft()))
                done += self._listen(running)
                self._show(running, done, len(waiting))
        self._trained = True
        number = len(waiting) - len(self._failed)
        self.report.finished(f"{number} of {len(waiting)} victims are trained")

    def check(self, victim: Any) -> None:
        """Raise the error of a victim's training, if it failed."""
        error = self._failed.get(victim.key) if isinstance(victim, TrainedVictim) else None
        if error is not None:
            raise error

    @property
    def then(self) -> EvaluationRequest:
        """The request of the rest of the run, which must not train the victims again."""
        return self.request.model_copy(update={"retrain": False}) if self._trained else self.request

    def _to_train(self, tasks: Sequence[ResolvedTask]) -> list[tuple[TrainedVictim, str]]:
        found: dict[str, tuple[TrainedVictim, str]] = {}
        for task in tasks:
            for each in task.victims:
                if isinstance(each, TrainedVictim) and each.state(self.request) == "train":
                    # All have the options of one request, so messages need not repeat them.
                    title = f"{each.row_name} on {task.name}, seed {each.seed}"
                    found.setdefault(each.key, (each, title))
        return list(found.values())

    def _start(self, victim: TrainedVictim, title: str) -> _Training:
        here, there = Pipe(duplex=False)
        process = start_child(train_in_process, self.request, victim.key, title, (there,))
        there.close()
        return _Training(victim, title, process, here)

    def _listen(self, running: list[_Training]) -> int:
        """Take the news of all processes; return how many of them ended, and forget these."""
        wait([each.news for each in running], timeout=1.0)
        for each in running:
            with suppress(EOFError):
                while each.news.poll():
                    self._hear(each, *each.news.recv())
                continue
            # A thread that a defense has left may keep it.
            each.process.join(SECONDS_TO_END)
            each.process.kill()
            each.process.join()
            each.news.close()
            each.over = True
            if each.share < 1 and each.victim.key not in self._failed:
                self._failed[each.victim.key] = _died(each)
                self.report.message(f"{each.title}: {self._failed[each.victim.key]}")
        ended = [each for each in running if each.over]
        running[:] = [each for each in running if not each.over]
        return len(ended)

    def _hear(self, training: _Training, kind: str, *content: Any) -> None:
        if kind == "message":
            self.report.message(f"{training.title}: {content[0]}")
        elif kind == "advanced":
            training.share, training.note = content
        elif kind == "trained":
            training.share = 1.0
        else:
            sentence, usage = content
            self._failed[training.victim.key] = (UsageError if usage else RobenchError)(sentence)
            self.report.message(f"{training.title}: failed. {sentence}")

    def _show(self, running: Sequence[_Training], done: int, number: int) -> None:
        share = (done + sum(each.share for each in running)) / number
        notes = "; ".join(f"{each.title}: {each.note}" for each in running if each.note)
        self.report.advanced(min(99, int(100 * share)), 100, notes)


@contextmanager
def _ending_all() -> Iterator[list[_Training]]:
    """Give a list of trainings; those that still run when the block ends are ended.

    A training that is ended goes on from its last epoch when the run is repeated.
    """
    running: list[_Training] = []
    try:
        yield running
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.join(SECONDS_TO_END)
            each.process.kill()
            each.process.join()
            each.news.close()


def _refuse_launcher() -> None:
    from robench.training.runtime import processes

    if processes() > 1:
        raise UsageError(
            "--parallel-victims trains in processes of its own, and a launcher distributes one "
            "training over several. Use one of them."
        )


def _died(training: _Training) -> RobenchError:
    code = training.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return RobenchError(
        f"The process of this training ended early ({how}). If the memory was used up, take a "
        "smaller --parallel-victims. The next run goes on from the last epoch."
    )


class _Sender:
    """A reporter that sends what it gets to the process that started this one."""

    def __init__(self, news: Connection) -> None:
        self._news, self._last = news, 0.0

    def message(self, text: str) -> None:
        """Send a sentence."""
        self._news.send(("message", text))

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Do nothing: the other process shows one phase for all trainings."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Send the share that is done, from time to time."""
        now = time.monotonic()
        if total and now - self._last >= SECONDS_BETWEEN_NEWS:
            self._last = now
            self._news.send(("advanced", min(0.99, done / total), note))

    def finished(self, note: str) -> None:
        """Send the result of a phase."""
        self._news.send(("message", note))


def train_in_process(request: EvaluationRequest, key: str, title: str, news: Connection) -> None:
    """Train one victim in this process and send the news; nothing is printed here.

    Args:
        request: the evaluation.
        key: key of the victim.
        title: the victim, for the messages.
        news: gets tuples: a kind and its content.
    """
    try:
        with as_failure():
            _train(request, _Sender(news), key, title)
    except RobenchError as error:
        news.send(("failed", str(error), isinstance(error, UsageError)))
    # A full disk or used-up memory; the traceback would land between the other trainings' lines.
    except Exception as error:
        news.send(("failed", f"{type(error).__name__}: {first_line(error)}", False))
    else:
        news.send(("trained",))
    news.close()


@without_exits()
@no_pointless_retries()
@with_chosen_punkt
def _train(request: EvaluationRequest, report: Reporter, key: str, title: str) -> None:
    from robench._base.quiet import quiet_environment
    from robench._base.reporting import Silent
    from robench.evaluation.resolve import resolve_request

    quiet_environment()
    resolved = resolve_request(request, Silent(), searching=False)
    victims = (each for task in resolved.tasks for each in task.victims)
    chosen = next((each for each in victims if each.key == key), None)
    if chosen is None:
        raise RobenchError(
            "Another process did not find this victim's configuration: files or code changed "
            "during the run. Run the command again."
        )
    chosen.obtain(request, title, report)
