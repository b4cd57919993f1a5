"""Processes of other machines: each example gets one trial, whatever is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_victims import linear_jobs

from robench._base.errors import RobenchError
from robench.evaluation.remote_pool import MOST_ALONE, MOST_IN_A_ROW, RemotePool
from robench.evaluation.remote_work import Problem
from robench.search.attack import Trial, Verdict
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.unchanged import VictimChanged
from robench.search.workers import WorkerPlan

PLAN = WorkerPlan(None, "pwws", settings=SearchSettings())
JOBS = linear_jobs(20, words=3)


def trial_of(job: Job) -> Trial:
    return Trial(id=job.example.id, verdict=Verdict.HELD, label=job.example.label, prediction=0)


class Cluster:
    """Processes that answer at once, and die as a test wants.

    Args:
        deaths: number of a process -> trials after which it dies.
        fatal: id of an example on which every process dies.
        pending: numbers of processes that never start.
    """

    def __init__(
        self,
        deaths: dict[int, int] | None = None,
        fatal: str = "",
        pending: tuple[int, ...] = (),
        problem: dict[str, Problem] | None = None,
    ) -> None:
        self.deaths, self.fatal, self.pending = deaths or {}, fatal, pending
        self.problem = problem or {}
        self.started = 0
        self.ended: list[int] = []
        self.finished: list[int] = []

    def start(self) -> int:
        self.started += 1
        return self.started - 1

    def load(self, process: int) -> tuple[str, int]:
        return ("load", process)

    def attack(self, process: int, jobs: list[Job]) -> tuple[str, int, Iterator[Any]]:
        return ("attack", process, self._trials(process, jobs))

    def _trials(self, process: int, jobs: list[Job]) -> Iterator[Any]:
        for job in jobs:
            if self.deaths.get(process, 1) == 0 or job.example.id == self.fatal:
                raise LookupError("the node is gone")
            if process in self.deaths:
                self.deaths[process] -= 1
            yield trial_of(job)
        if "attack" in self.problem:
            yield self.problem["attack"]

    def finish(self, process: int) -> tuple[str, int]:
        self.finished.append(process)
        return ("finish", process)

    def ready(self, calls: list[Any], seconds: float) -> list[Any]:
        return [call for call in calls if call[1] not in self.pending][:1]

    def result(self, call: Any) -> Problem | None:
        if call[0] == "load" and self.deaths.get(call[1], 1) < 0:
            raise LookupError("the node never came")
        return self.problem.get(call[0])

    def next_item(self, call: Any) -> Any:
        return next(call[2], None)

    def end(self, process: int) -> None:
        self.ended.append(process)


def run(cluster: Cluster, processes: int = 3, said: list[str] | None = None) -> dict[str, Trial]:
    told: list[str] = [] if said is None else said
    pool = RemotePool(cluster, PLAN, told.append)
    trials = list(pool.trials(JOBS, processes))
    assert len({trial.id for trial in trials}) == len(trials)
    return {trial.id: trial for trial in trials}


EVERY = {job.example.id: trial_of(job) for job in JOBS}


@pytest.mark.parametrize("processes", [1, 3, 50])
def test_every_example_has_one_trial_and_every_process_is_checked_and_ended(
    processes: int,
) -> None:
    cluster = Cluster()
    assert run(cluster, processes) == EVERY
    assert cluster.started <= min(processes, len(JOBS))
    assert set(cluster.finished) <= set(cluster.ended) == set(range(cluster.started))
    assert cluster.finished


def test_a_lost_process_costs_no_trial() -> None:
    said: list[str] = []
    cluster = Cluster(deaths={0: 2, 1: 0})
    assert run(cluster, said=said) == EVERY
    assert cluster.started == 5
    assert sum("its" in text and "tried again" in text for text in said) == 2
    assert "the node is gone" in said[0]


def test_a_process_that_never_starts_is_not_waited_for() -> None:
    cluster = Cluster(pending=(1, 2))
    assert run(cluster) == EVERY
    assert cluster.finished == [0]
    assert sorted(cluster.ended) == [0, 1, 2]


def test_the_example_that_kills_its_process_becomes_an_error() -> None:
    fatal = JOBS[7].example.id
    trials = run(Cluster(fatal=fatal))
    assert trials.pop(fatal).verdict == Verdict.ERROR
    assert trials == {id_: trial for id_, trial in EVERY.items() if id_ != fatal}


def test_the_error_says_how_often_it_was_tried() -> None:
    fatal = JOBS[0].example.id
    problem = run(Cluster(fatal=fatal), processes=1)[fatal].problem
    assert problem is not None
    assert f"died on it {MOST_ALONE} times" in problem
    assert "the node is gone" in problem


def test_a_cluster_that_loses_every_process_ends_the_cell() -> None:
    cluster = Cluster(deaths=dict.fromkeys(range(99), -1))
    with pytest.raises(RobenchError, match=f"{MOST_IN_A_ROW} processes in a row were lost"):
        run(cluster)
    assert set(cluster.ended) <= set(range(cluster.started))


@pytest.mark.parametrize("when", ["load", "attack", "finish"])
def test_a_problem_of_a_process_is_the_problem_of_the_cell(when: str) -> None:
    with pytest.raises(RobenchError, match="no such attack"):
        run(Cluster(problem={when: Problem("no such attack")}))


def test_a_changed_victim_is_told_as_such() -> None:
    with pytest.raises(VictimChanged, match="changed"):
        run(Cluster(problem={"finish": Problem("changed", changed=True)}))


def test_closing_the_trials_ends_every_process() -> None:
    cluster = Cluster()
    trials = RemotePool(cluster, PLAN, print).trials(JOBS, 3)
    next(trials)
    trials.close()  # type: ignore[attr-defined]
    assert set(cluster.ended) == set(range(cluster.started))


def test_few_losses_are_told_one_by_one() -> None:
    said: list[str] = []
    run(Cluster(deaths=dict.fromkeys(range(9), 1)), said=said)
    assert len(said) == 5
    assert said[-1].endswith("Further ones are not named.")


def test_a_process_that_is_late_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robench.evaluation.remote_pool.LATE_SECONDS", -1e9)
    cluster = Cluster()
    limited = WorkerPlan(None, "pwws", settings=SearchSettings(example_seconds=1.0))
    list(RemotePool(cluster, limited, print).trials(JOBS, 1))
    assert cluster.ended.count(0) > 1
