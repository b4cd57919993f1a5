"""Tests of several worker processes.

The trials are those of one process, dead workers are replaced, and all workers end at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_victims import (
    linear_jobs,
    load_lethal,
    load_linear,
    load_nothing,
    load_noting_device,
    load_rough,
    make_job,
)

from robench import ATTACKS, Trial, Verdict
from robench._base.environment import Precision
from robench._base.errors import RobenchError
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.trials import TrialFile
from robench.search.workers import WorkerPlan, default_workers, devices_of, run_workers

# Each test starts processes.
pytestmark = pytest.mark.slow

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
LETHAL = {f"w{number}": [f"w{number}{variant}" for variant in "abc"] for number in range(40)}
TESTS = Path(__file__).parents[2]


def comparable(trials: list[Trial]) -> dict[str, Trial]:
    return {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in trials}


def in_one_process(name: str, jobs: list[Job]) -> dict[str, Trial]:
    return comparable(list(run(load_linear(), ATTACKS.get(name)(), name, jobs)))


def plan(folder: Path, name: str = "pwws", **settings: Any) -> WorkerPlan:
    own = {name: settings.pop(name) for name in ("budget", "precision") if name in settings}
    given = {"victim": folder, "attack": name, "load": load_linear, **settings}
    return WorkerPlan(**given, settings=SearchSettings(**own))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_gives_the_same_trials(tmp_path: Path, workers: int) -> None:
    jobs = linear_jobs(60, words=6)
    trials = list(run_workers(plan(tmp_path, "genetic"), jobs, workers))
    assert len(trials) == 60
    assert comparable(trials) == in_one_process("genetic", jobs)
    assert not multiprocessing.active_children()


def test_options_and_budget_reach_the_workers(tmp_path: Path) -> None:
    jobs = linear_jobs(6)
    options = {"population": "3", "iterations": "1"}
    cls = ATTACKS.get("genetic")
    here = comparable(
        list(
            run(
                load_linear(),
                cls(cls.Options.model_validate(options)),
                "genetic",
                jobs,
                SearchSettings(budget=12),
            )
        )
    )
    assert (
        comparable(
            list(run_workers(plan(tmp_path, "genetic", options=options, budget=12), jobs, 2))
        )
        == here
    )


def test_the_precision_reaches_the_workers(tmp_path: Path) -> None:
    jobs = linear_jobs(12, words=4)
    for precision in PRECISIONS:
        here = comparable(
            list(
                run(
                    load_rough(),
                    ATTACKS.get("pwws")(),
                    "pwws",
                    jobs,
                    SearchSettings(precision=precision),
                )
            )
        )
        assert (
            comparable(
                list(run_workers(plan(tmp_path, precision=precision, load=load_rough), jobs, 2))
            )
            == here
        )


def test_without_jobs_no_worker_starts(tmp_path: Path) -> None:
    assert list(run_workers(plan(tmp_path), [], 4)) == []


def test_only_an_example_that_kills_workers_is_an_error(tmp_path: Path) -> None:
    jobs = [
        *linear_jobs(30, words=4),
        make_job("w1 w39 w2", LETHAL, number=100),
        make_job("w5 w39", LETHAL, number=101),
    ]
    trials = comparable(list(run_workers(plan(tmp_path, load=load_lethal), jobs, 2)))
    assert len(trials) == 32
    assert {example for example, trial in trials.items() if trial.verdict == Verdict.ERROR} == {
        "fake/0100",
        "fake/0101",
    }
    assert "died on it 3 times (killed by SIGKILL)" in str(trials["fake/0100"].problem)
    sound = in_one_process("pwws", jobs[:30])
    assert {example: trials[example] for example in sound} == sound


def test_a_worker_that_is_killed_once_costs_no_trial(tmp_path: Path) -> None:
    (tmp_path / "once").touch()
    harmless = {word: substitutes[:2] for word, substitutes in LETHAL.items()}
    jobs = [*linear_jobs(20, words=4), make_job("w1 w39 w2", harmless, number=100)]
    said: list[str] = []
    trials = list(run_workers(plan(tmp_path, load=load_lethal), jobs, 2, said.append))
    assert len(said) == 1
    assert said[0].startswith("A worker process ended (killed by SIGKILL); ")
    assert "tried again" in said[0]
    assert not (tmp_path / "once").exists()
    assert comparable(trials) == in_one_process("pwws", jobs)
    assert len(trials) == 21


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"load": load_nothing}, "no such weights"),
        ({"attack": "genetik"}, "no attack 'genetik'"),
        ({"options": {"speed": "9"}}, "no option 'speed'"),
    ],
)
def test_a_worker_that_cannot_start_ends_the_run_with_its_message(
    tmp_path: Path, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RobenchError, match=sentence):
        list(run_workers(plan(tmp_path, **settings), linear_jobs(4), 2))
    assert not multiprocessing.active_children()


def test_closing_the_iterator_ends_the_workers(tmp_path: Path) -> None:
    trials = run_workers(plan(tmp_path, "genetic"), linear_jobs(60), 2)
    next(trials)
    trials.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


TINY, BASE = (450_000 * 25, 20 * 2**20), (85_000_000 * 25, 440 * 2**20)


@pytest.mark.parametrize(
    ("device", "examples", "victim", "workers"),
    [
        ("cpu", 0, TINY, 1),
        ("cpu", 190, TINY, 1),
        ("cpu", 200, TINY, 2),
        ("cpu", 1000, TINY, 4),
        ("cpu", 1, BASE, 1),
        # A large encoder needs longer for a single text than a process needs to start.
        ("cpu", 3, BASE, 3),
        ("cpu", 1000, BASE, 4),
        ("cuda:0", 1000, TINY, 1),
        ("mps", 1000, TINY, 1),
    ],
)
def test_the_number_of_workers_follows_the_amount_of_work(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    examples: int,
    victim: tuple[float, int],
    workers: int,
) -> None:
    monkeypatch.setattr("robench.search.workers.available_cores", lambda: 4)
    monkeypatch.setattr("robench.search.workers.available_memory", lambda: 64 * 2**30)
    assert default_workers(device, examples, *victim) == workers


@pytest.mark.parametrize(("gigabytes", "workers"), [(1, 1), (4, 2), (16, 9), (64, 16)])
def test_the_number_of_workers_is_bounded_by_memory(
    monkeypatch: pytest.MonkeyPatch, gigabytes: int, workers: int
) -> None:
    monkeypatch.setattr("robench.search.workers.available_cores", lambda: 16)
    monkeypatch.setattr("robench.search.workers.available_memory", lambda: gigabytes * 2**30)
    assert default_workers("cpu", 1000, *BASE) == workers


def test_an_attack_computes_in_one_thread_and_gives_the_others_back() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        trials = run(load_linear(), ATTACKS.get("pwws")(), "pwws", linear_jobs(3))
        inside = [torch.get_num_threads() for _ in trials]
        left = run(load_linear(), ATTACKS.get("pwws")(), "pwws", linear_jobs(3))
        next(left)
        assert torch.get_num_threads() == 1
        left.close()  # type: ignore[attr-defined]
        assert inside == [1, 1, 1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


SCRIPT = """
import sys, time
sys.path.append({tests!r})
from pathlib import Path
from fake_victims import linear_jobs, load_linear
from robench import ATTACKS
from robench.search.engine import run
from robench.search.trials import TrialFile
from robench.search.workers import WorkerPlan, run_workers

if __name__ == "__main__":
    path, workers = Path(sys.argv[1]), int(sys.argv[2])
    done = TrialFile(path).ids_done()
    jobs = [job for job in linear_jobs(40, words=7) if job.example.id not in done]
    plan = WorkerPlan(Path(), "genetic", load=load_linear)
    if workers:
        trials = run_workers(plan, jobs, workers)
    else:
        trials = run(load_linear(), ATTACKS.get("genetic")(), "genetic", jobs)
    with TrialFile(path, cell="0" * 64) as file:
        for trial in trials:
            file.append(trial)
            time.sleep({pause})
"""


def start(folder: Path, workers: int, pause: float) -> subprocess.Popen[bytes]:
    script = folder / "resumable.py"
    script.write_text(SCRIPT.format(tests=str(TESTS), pause=pause))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder / "trials.jsonl"), str(workers)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_lines(process: subprocess.Popen[bytes], path: Path, count: int) -> None:
    """Wait until the file holds ``count`` trials.

    The generous bound only catches a hang. On a busy machine the imports can take a minute.
    """
    for _ in range(6000):
        # The first line is the header.
        if path.exists() and path.read_bytes().count(b"\n") > count:
            return
        assert process.poll() is None, "the run ended early"
        time.sleep(0.05)
    raise AssertionError("no trials came")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_and_resumed_run_has_the_trials_of_an_unbroken_one(
    tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "trials.jsonl"
    for lines in (5, 15):
        process = start(tmp_path, workers, pause=0.05)
        wait_for_lines(process, path, lines)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert 15 <= len(TrialFile(path).read()) < 40
    with path.open("ab") as file:
        # A kill in the middle of a write leaves such a line.
        file.write(b'{"id":"fake/0039","verd')
    assert start(tmp_path, workers, pause=0).wait(300) == 0
    trials = TrialFile(path).read()
    assert path.read_bytes().count(b"\n") - 1 == len(trials) == 40
    assert comparable(trials) == in_one_process("genetic", linear_jobs(40, words=7))


def test_ctrl_c_ends_all_workers_at_once_and_keeps_finished_trials(tmp_path: Path) -> None:
    process = start(tmp_path, workers=2, pause=0.05)
    wait_for_lines(process, tmp_path / "trials.jsonl", 5)
    # A terminal also sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    # It is the parent's; workers print nothing.
    assert complaints.count(b"Traceback") == 1
    assert b"KeyboardInterrupt" in complaints
    assert len(TrialFile(tmp_path / "trials.jsonl").read()) >= 5
    assert await_none_of(process.pid)


def await_none_of(group: int) -> bool:
    """Return whether all processes of the group end soon; zombies do not count."""
    for _ in range(100):
        states = [
            text.rpartition(")")[2].split() for text in map(_stat, Path("/proc").glob("[0-9]*"))
        ]
        if not [state for state in states if state and int(state[2]) == group and state[0] != "Z"]:
            return True
        time.sleep(0.1)
    return False


def _stat(process: Path) -> str:
    try:
        return (process / "stat").read_text()
    except OSError:
        return ""


def test_workers_are_spread_over_the_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.search.workers.devices_of", lambda device: ["cpu:0", "cpu:1"])
    jobs = linear_jobs(40, words=6)
    trials = list(run_workers(plan(tmp_path, load=load_noting_device), jobs, 4))
    assert comparable(trials) == in_one_process("pwws", jobs)
    devices = sorted(path.name.split()[1] for path in tmp_path.iterdir())
    assert devices == ["cpu:0", "cpu:0", "cpu:1", "cpu:1"]


@pytest.mark.parametrize(
    ("device", "gpus", "devices"),
    [
        ("cpu", 4, ["cpu"]),
        ("mps", 4, ["mps"]),
        ("cuda", 1, ["cuda"]),
        ("cuda:1", 4, ["cuda:1"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
    ],
)
def test_a_run_on_cuda_uses_every_gpu_unless_it_names_one(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, devices: list[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert devices_of(device) == devices
    if device == "cuda":
        assert default_workers(device, 1000, *TINY) == gpus
        # A process on one more GPU is not worth a few examples.
        assert default_workers(device, 20, *TINY) == 1
