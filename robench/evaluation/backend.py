"""The interface of a backend: where the trainings and the searches of a run are done.

A backend decides no result. The trials are those of one process, whatever it does. It only says
where the work is done, and appends nothing to a file itself: the run does that.

A built-in backend is found by the name of its module in ``robench.evaluation.backends``, which
holds its class as ``BACKEND``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.evaluation.defaults import BACKEND

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved_victims import TrainedVictim
    from robench.search.attack import Trial
    from robench.search.jobs import Job
    from robench.search.workers import WorkerPlan


class Backend(ABC):
    """Where the work of one run is done. As a context manager it ends with the run.

    Class attributes:
        trains: whether it trains victims itself (``train``), before the run needs them.
        may_stay_here: whether one worker may be the run's own process. Otherwise every search is
            done by ``search``.
        shares_devices: whether search processes can share the victim of a device
            (``WorkerPlan.sharing``).

    Args:
        request: the evaluation.
        report: receives messages.
    """

    trains: ClassVar[bool] = False
    may_stay_here: ClassVar[bool] = True
    shares_devices: ClassVar[bool] = False

    def __init__(self, request: EvaluationRequest, report: Reporter) -> None:
        self._request, self._report = request, report

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what the backend started."""

    def train(self, victims: Mapping[str, TrainedVictim]) -> Mapping[str, str]:
        """Train victims into the folder of the run; the run loads them from there.

        Args:
            victims: title -> a victim that is not there, or is to be trained again.

        Returns:
            The title of each victim that could not be trained -> a sentence that says why.
        """
        return {}

    @abstractmethod
    def workers(self, device: str, examples: int, work: float, weights: int) -> int:
        """Return the number of workers where the user names none.

        Args:
            device: a torch device string.
            examples: number of examples to attack.
            work: parameters x tokens of one example (``Victim.row_cost``).
            weights: size of the victim's parameters in bytes.
        """

    @abstractmethod
    def search(
        self,
        plan: WorkerPlan,
        jobs: Iterable[Job],
        workers: int,
        say: Callable[[str], None],
    ) -> Iterator[Trial]:
        """Attack every job and yield the trials as they end, in any order.

        Args:
            plan: what a worker needs to know.
            jobs: the examples.
            workers: number of processes that search at the same time.
            say: receives a sentence where something was done again.

        Raises:
            RobenchError: no worker can load the victim or the attack.
        """


def backend_names() -> list[str]:
    """Return the names of the built-in backends; the usual one comes first."""
    folder = str(Path(__file__).with_name("backends"))
    names = sorted(each.name for each in iter_modules([folder]))
    return sorted(names, key=lambda name: name != BACKEND)


def check_backend(name: str) -> None:
    """Raise UsageError if there is no backend of this name."""
    known = backend_names()
    if name not in known:
        raise UsageError(
            f"There is no backend '{name}'.{did_you_mean(name, known)} "
            f"Choose one of {', '.join(known)}."
        )


def open_backend(request: EvaluationRequest, report: Reporter) -> Backend:
    """Return the backend that a request names.

    Raises:
        UsageError: there is none of this name, or what it needs is not installed.
    """
    check_backend(request.backend)
    module = import_module(f"robench.evaluation.backends.{request.backend}")
    backend: Backend = module.BACKEND(request, report)
    return backend
