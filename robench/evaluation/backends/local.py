"""The usual backend: this process, and worker processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from robench.evaluation.backend import Backend

if TYPE_CHECKING:
    from robench.search.attack import Trial
    from robench.search.jobs import Job
    from robench.search.workers import WorkerPlan


class LocalBackend(Backend):
    """This machine. Victims are trained in this process, one after the other."""

    shares_devices = True

    def workers(self, device: str, examples: int, work: float, weights: int) -> int:
        """Return ``default_workers``: one per core where that pays, and one per GPU."""
        from robench.search import workers

        return workers.default_workers(device, examples, work, weights)

    def search(
        self,
        plan: WorkerPlan,
        jobs: Iterable[Job],
        workers: int,
        say: Callable[[str], None],
    ) -> Iterator[Trial]:
        """Attack the jobs in worker processes."""
        from robench.search.workers import run_workers

        return run_workers(plan, jobs, workers, say)


BACKEND = LocalBackend
