"""The backend on a Ray cluster: trainings and searches on the machines of the cluster.

This process stays the run: it decides what is done, checks the victims, and appends every trial to
its file as it arrives. So a machine that is lost costs the searches that ran there, and a run that
is killed goes on where it was. A victim is put into Ray's object store once and fetched once by
each machine.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError, UsageError, first_line
from robench.evaluation.backend import Backend
from robench.evaluation.remote_pool import RemotePool
from robench.evaluation.remote_work import (
    Problem,
    Searcher,
    digest_of_files,
    files_of,
    train_files,
    victim_folder,
    write_folder,
)

if TYPE_CHECKING:
    from robench.evaluation.resolved_victims import TrainedVictim
    from robench.search.attack import Trial
    from robench.search.jobs import Job
    from robench.search.workers import WorkerPlan

MISSING = (
    "--backend ray needs the package 'ray', which is not installed. Install it on every machine "
    "with: pip install 'robench[ray]'."
)
_ADDRESS = re.compile(r"(?:ray://)?([^:/]+):(\d+)")
CONNECT_SECONDS = 10.0
"""Seconds in which the machine of an address must answer."""
MOST_TRIES = 5
"""Times that Ray does a training again whose machine was lost."""


class RayBackend(Backend):
    """Trainings as tasks, and searches in actors, of a Ray cluster."""

    trains = True
    may_stay_here = False

    def __enter__(self) -> RayBackend:
        """Connect to the cluster, or start one on this machine.

        Raises:
            UsageError: Ray is not installed, or there is no cluster at the address.
        """
        try:
            import ray
        except ImportError as error:
            raise UsageError(MISSING) from error
        self._ray = ray
        self._sent: dict[Path, tuple[Any, str]] = {}
        self._own = not ray.is_initialized()
        if self._own:
            self._connect()
        return self

    def _connect(self) -> None:
        address = self._request.ray_address or os.environ.get("RAY_ADDRESS")
        if address is not None:
            _refuse_silent(address)
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            # Nobody else is meant to reach a cluster that only this run uses.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            settings |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            with _own_handlers():
                self._ray.init(address=address or "local", **settings)
        # Ray raises a bare Exception where a machine under load starts too slowly.
        except Exception as error:
            raise UsageError(
                f"There is no Ray cluster at '{address or 'local'}' ({first_line(error)}). Start "
                "one with 'ray start --head', and name it with --ray-address."
            ) from error
        nodes = sum(bool(node["Alive"]) for node in self._ray.nodes())
        have = self._ray.cluster_resources()
        self._report.message(
            f"Ray: {nodes} {'machine' if nodes == 1 else 'machines'} with {have.get('CPU', 0):g} "
            f"cores and {have.get('GPU', 0):g} GPUs."
        )

    def close(self) -> None:
        """Leave the cluster; one that this run started ends."""
        self._sent.clear()
        if self._own:
            with _own_handlers():
                self._ray.shutdown()

    def workers(self, device: str, examples: int, work: float, weights: int) -> int:
        """Return the number of GPUs of the cluster, or of cores as far as the work is worth it."""
        from robench.search.workers import WORK_PER_WORKER

        slots = int(self._ray.cluster_resources().get(_unit(device), 0))
        worth = examples if _unit(device) == "GPU" else examples * work / WORK_PER_WORKER
        return max(1, min(slots, round(worth), examples))

    def _needs(self, device: str) -> dict[str, float]:
        """Return what one process takes of a machine.

        Raises:
            RobenchError: the cluster has none of it.
        """
        needs: dict[str, float] = {"num_cpus": 1}
        if _unit(device) == "GPU":
            needs["num_gpus"] = 1
        if self._ray.cluster_resources().get(_unit(device), 0) < 1:
            raise RobenchError(
                f"The Ray cluster has no {_unit(device)} for this run. Add a machine, or choose "
                "another --device."
            )
        return needs

    def train(self, victims: Mapping[str, TrainedVictim]) -> Mapping[str, str]:
        """Train all victims at the same time, each as a task with one core or GPU."""
        self._report.started("training", f"{len(victims)} victims on Ray", len(victims))
        remote = self._ray.remote(train_files)
        running: dict[Any, str] = {}
        for title, victim in victims.items():
            fit = replace(victim.fit, device=_kind(victim.fit.device))
            how = {**self._needs(fit.device), "max_retries": MOST_TRIES}
            task = remote.options(**how).remote(self._ray.put(fit), victim.fit.key, title)
            running[task] = title
        failed: dict[str, str] = {}
        while running:
            (done,), _ = self._ray.wait(list(running))
            title = running.pop(done)
            found = self._result(done, f"The training of {title}")
            if isinstance(found, Problem):
                failed[title] = found.sentence
            else:
                self._install(found, victims[title].folder(self._request))
            self._report.advanced(len(victims) - len(running), len(victims), title)
        self._report.finished(f"{len(victims) - len(failed)} of {len(victims)} victims trained")
        return failed

    def _result(self, reference: Any, what: str) -> Any:
        """Return the result of a task; an error of Ray becomes a problem."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Problem(f"{what} was lost with its machine ({first_line(error)}).")

    def _install(self, files: Mapping[str, bytes], folder: Path) -> None:
        """Write a victim into the folder of the run."""
        from robench.training.saving import remove_victim, training_lock

        with training_lock(folder, self._request.patience(self._report)) as waited:
            if folder.exists() and not waited and self._request.retrain:
                remove_victim(folder)
            # Another run has trained it meanwhile.
            if not folder.exists():
                write_folder(files, folder)

    def search(
        self,
        plan: WorkerPlan,
        jobs: Iterable[Job],
        workers: int,
        say: Callable[[str], None],
    ) -> Iterator[Trial]:
        """Attack the jobs in processes of the cluster."""
        settings = plan.settings
        needs = self._needs(settings.device)
        plan = replace(plan, settings=replace(settings, device=_kind(settings.device)))
        files, name = self._files(plan.victim)
        actor = self._ray.remote(Searcher).options(
            **needs, max_restarts=0, scheduling_strategy="SPREAD"
        )
        pool = RemotePool(_Calls(self._ray, lambda: actor.remote(plan, files, name)), plan, say)
        return pool.trials(list(jobs), workers)

    def _files(self, source: Any) -> tuple[Any, str]:
        """Return the files of a victim in the object store, and a name for them.

        Args:
            source: what a worker process loads the victim from (``WorkerPlan.victim``).
        """
        folder = victim_folder(source)
        if folder not in self._sent:
            files = files_of(folder)
            # The victim before is not needed any more.
            self._sent = {folder: (self._ray.put(files), digest_of_files(files))}
        return self._sent[folder]


class _Calls:
    """What the pool does with Ray: start a process, call it, wait, and end it."""

    def __init__(self, ray: Any, start: Callable[[], Any]) -> None:
        self._ray, self._start = ray, start

    def start(self) -> Any:
        """Start a process; it waits for a free core or GPU."""
        return self._start()

    def load(self, process: Any) -> Any:
        """Let a process load the victim."""
        return process.load.remote()

    def attack(self, process: Any, jobs: list[Job]) -> Any:
        """Let a process attack jobs; the trials come one by one."""
        return process.attack.options(num_returns="streaming").remote(jobs)

    def finish(self, process: Any) -> Any:
        """Let a process check its victim."""
        return process.finish.remote()

    def ready(self, calls: list[Any], seconds: float) -> list[Any]:
        """Return the calls that have something; none after ``seconds``."""
        found, _ = self._ray.wait(calls, num_returns=1, timeout=seconds)
        return list(found)

    def result(self, call: Any) -> Any:
        """Return the result of a call.

        Raises:
            LookupError: the process has died.
            RobenchError: its code is broken.
        """
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise RobenchError(f"A process of another machine failed ({error.cause}).") from error
        except self._ray.exceptions.RayError as error:
            raise LookupError(first_line(error)) from error

    def next_item(self, call: Any) -> Any:
        """Return the next trial of a call; None at its end.

        Raises:
            LookupError: the process has died.
        """
        try:
            return self.result(next(call))
        except StopIteration:
            return None
        except self._ray.exceptions.RayError as error:
            raise LookupError(first_line(error)) from error

    def end(self, process: Any) -> None:
        """End a process."""
        self._ray.kill(process)


def _refuse_silent(address: str) -> None:
    """Refuse an address at which nothing listens; Ray itself would try for minutes.

    Raises:
        UsageError: nothing answers there.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"There is no Ray cluster at '{address}' ({first_line(error)}). Start one with "
            "'ray start --head', and name it with --ray-address."
        ) from error


def _unit(device: str) -> str:
    """Return Ray's name of what a process on this kind of device needs."""
    return "GPU" if device.startswith("cuda") else "CPU"


def _kind(device: str) -> str:
    """Return the device without its number: a process of Ray sees only its own GPU."""
    return device.partition(":")[0]


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep the handlers of signals, of which Ray would replace one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


BACKEND = RayBackend
