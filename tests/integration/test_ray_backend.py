"""A Ray cluster of three nodes on this machine: the trials of one process, whatever is lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import Listening
from fake_victims import linear_jobs, load_linear, load_lingering

from robench import ATTACKS, Trial
from robench._base.errors import RobenchError, UsageError
from robench.evaluation.backend import Backend, open_backend
from robench.evaluation.request import build_request
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.trials import TrialFile
from robench.search.workers import WorkerPlan, run_workers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
JOBS = linear_jobs(40, words=5)


def test_without_ray_one_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    backend = open_backend(build_request(backend="ray", out=tmp_path), Listening())
    with pytest.raises(UsageError, match=r"pip install 'robench\[ray\]'"):
        backend.__enter__()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_refused_at_once(address: str, tmp_path: Path) -> None:
    request = build_request(backend="ray", ray_address=address, out=tmp_path)
    with pytest.raises(UsageError, match=f"There is no Ray cluster at '{address}'"):
        open_backend(request, Listening()).__enter__()


def plan(folder: Path, attack: str = "pwws", **settings: Any) -> WorkerPlan:
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(b"weights")
    return WorkerPlan(folder, attack, settings=SearchSettings(**settings), load=load_linear)


def comparable(trials: list[Trial]) -> dict[str, Trial]:
    found = {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in trials}
    assert len(found) == len(trials)
    return found


def here(attack: str = "pwws", jobs: list[Job] = JOBS) -> dict[str, Trial]:
    return comparable(list(run(load_linear(), ATTACKS.get(attack)(), attack, jobs)))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose head does no work, and three nodes with one core each."""
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED")}
    os.environ.update(PYTHONPATH=paths, RAY_USAGE_STATS_ENABLED="0")
    memory = 80 * 2**20
    found = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": memory},
    )
    for _ in range(3):
        found.add_node(num_cpus=1, object_store_memory=memory)
    found.wait_for_nodes()
    try:
        yield found
    finally:
        found.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture
def report() -> Listening:
    return Listening()


@pytest.fixture
def backend(cluster: Any, tmp_path: Path, report: Listening) -> Iterator[Backend]:
    request = build_request(backend="ray", ray_address=cluster.address, out=tmp_path)
    with open_backend(request, report) as found:
        yield found


def test_three_nodes_four_workers_and_one_process_give_the_same_trials(
    backend: Backend, report: Listening, tmp_path: Path
) -> None:
    wanted = plan(tmp_path / "victim")
    assert report.messages == ["Ray: 4 machines with 3 cores and 0 GPUs."]
    on_nodes = comparable(list(backend.search(wanted, JOBS, 3, report.message)))
    in_workers = comparable(list(run_workers(wanted, JOBS, 4)))
    assert on_nodes == in_workers == here()


def test_the_cluster_bounds_the_number_of_workers(backend: Backend) -> None:
    assert backend.workers("cpu", 1000, 1e12, 10**9) == 3
    assert backend.workers("cpu", 2, 1e12, 10**9) == 2
    assert backend.workers("cpu", 1000, 1.0, 10**3) == 1


def test_a_cluster_without_a_gpu_is_told_and_not_waited_for(
    backend: Backend, tmp_path: Path
) -> None:
    with pytest.raises(RobenchError, match="has no GPU for this run"):
        list(backend.search(plan(tmp_path / "victim", device="cuda"), JOBS, 1, print))


def test_an_attack_that_is_not_there_is_one_sentence(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="nothing-like-this"):
        list(backend.search(plan(tmp_path / "victim", "nothing-like-this"), JOBS, 2, print))


def test_a_run_that_ends_early_keeps_its_trials_and_goes_on(
    backend: Backend, report: Listening, tmp_path: Path
) -> None:
    wanted, path = plan(tmp_path / "victim"), tmp_path / "trials.jsonl"
    trials = backend.search(wanted, JOBS, 3, report.message)
    with TrialFile(path, cell="c" * 64) as file:
        for _ in range(7):
            file.append(next(trials))
    trials.close()  # type: ignore[attr-defined]
    done = {trial.id for trial in TrialFile(path, cell="c" * 64).read()}
    assert len(done) == 7
    left = [job for job in JOBS if job.example.id not in done]
    with TrialFile(path, cell="c" * 64) as file:
        for trial in backend.search(wanted, left, 3, report.message):
            file.append(trial)
    assert comparable(TrialFile(path, cell="c" * 64).read()) == here()


def test_a_lost_node_costs_no_trial(
    cluster: Any, backend: Backend, report: Listening, tmp_path: Path
) -> None:
    found: list[Trial] = []
    # Slow answers: the other nodes are not done before the loss is noticed.
    wanted = replace(plan(tmp_path / "victim"), load=load_lingering)
    for trial in backend.search(wanted, JOBS, 3, report.message):
        found.append(trial)
        if len(found) == 3:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    assert comparable(found) == here()
    assert any("was lost" in text for text in report.messages)
