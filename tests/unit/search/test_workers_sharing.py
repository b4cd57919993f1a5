"""Worker processes that share one device process: the same trials, whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_cases import (
    DEADLY,
    SHAPES,
    device_processes,
    load_deadly,
    load_rough_on_device,
    load_slow_on_device,
    load_tight,
    shared_plan,
    tight,
)
from fake_victims import linear_jobs, load_linear, load_rough

from robench import ATTACKS, Trial
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.shared_device.keeper import DEATHS_OF_A_TEXT
from robench.search.shared_device.messages import can_hand_on
from robench.search.workers import _Worker, _WorkerPool, run_workers

# Each test starts processes.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on"),
]
TESTS = Path(__file__).parents[2]
JOBS = linear_jobs(40, words=6)


def left_in_memory(process: int) -> list[str]:
    """Return the files of shared memory that a process has left."""
    folder = Path("/dev/shm")
    names = [path.name for path in folder.glob("pym-*")]
    return [name for name in names if name.startswith(f"pym-{process}-")]


def comparable(trials: list[Trial]) -> dict[str, Trial]:
    return {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in trials}


def here(
    victim: Any, jobs: list[Job] = JOBS, name: str = "pwws", **search: Any
) -> dict[str, Trial]:
    settings = SearchSettings(**search)
    return comparable(list(run(victim, ATTACKS.get(name)(), name, jobs, settings, shapes=SHAPES)))


def test_trials_are_the_same_whatever_dies(tmp_path: Path) -> None:
    plan = shared_plan(tmp_path, load=load_rough_on_device, precision="bf16")
    said: list[str] = []
    trials = run_workers(plan, JOBS, 2, said.append)
    found = [next(trials)]
    (device,) = device_processes(tmp_path)
    workers = [each for each in multiprocessing.active_children() if each.pid != device]
    assert len(workers) == 2
    workers[0].kill()
    found += [next(trials) for _ in range(8)]
    os.kill(device, signal.SIGKILL)
    found += list(trials)
    assert comparable(found) == here(load_rough(), precision="bf16")
    assert len(device_processes(tmp_path)) == 2
    assert (
        "The device process of cpu ended (killed by SIGKILL) and is started again; the searches "
        "wait for it."
    ) in said
    assert not multiprocessing.active_children()
    assert not left_in_memory(os.getpid())


def test_a_device_short_of_memory_costs_no_trial(tmp_path: Path) -> None:
    """Forward passes of several processes share its memory, and one alone fits."""
    jobs = linear_jobs(60, words=8)
    alone = here(tight(load_linear(tmp_path)), jobs)
    assert not any(trial.problem for trial in alone.values())
    found = list(run_workers(shared_plan(tmp_path, load=load_tight), jobs, 3))
    assert comparable(found) == alone


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.many)])
def test_a_text_that_kills_the_device_process_is_one_error(tmp_path: Path, number: int) -> None:
    """Also where no other text is left that gets an answer meanwhile."""
    jobs = linear_jobs(number, words=8)
    victim = load_linear(tmp_path)
    np.save(tmp_path / DEADLY, victim.read(jobs[0].example.fields).ids)
    plan = shared_plan(tmp_path, load=load_deadly)
    found = {trial.id: trial for trial in run_workers(plan, jobs, 2)}
    assert len(found) == number
    trial = found.pop(jobs[0].example.id)
    assert trial.verdict == "error"
    assert "the device process died on it twice" in str(trial.problem)
    assert all(each.verdict != "error" for each in found.values())
    # Where nothing is left to ask, the run may end before the last one has loaded.
    loaded = len(device_processes(tmp_path))
    assert loaded == DEATHS_OF_A_TEXT + 1 or (number == 1 and loaded == DEATHS_OF_A_TEXT)


def test_a_worker_that_is_slow_to_leave_takes_no_place_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker is leaving and does not end, while the other is killed in its work."""
    plan = shared_plan(tmp_path, "genetic", load=load_slow_on_device)
    jobs = linear_jobs(24, words=8)
    pool = _WorkerPool(plan, jobs, 2, None)
    assign, leaving = pool._assign, list[_Worker]()

    def assign_then_kill(worker: _Worker) -> None:
        assign(worker)
        others = [each for each in pool._workers if each is not worker and each.assigned]
        if worker.leaving and others and not leaving:
            leaving.append(worker)
            os.kill(worker.process.pid or 0, signal.SIGSTOP)
            others[0].process.kill()
            threading.Timer(2, os.kill, (worker.process.pid, signal.SIGCONT)).start()

    monkeypatch.setattr(pool, "_assign", assign_then_kill)
    try:
        found = list(pool.trials())
    finally:
        pool.stop()
    assert leaving
    assert {trial.id for trial in found} == {job.example.id for job in jobs}
    assert not any(trial.problem for trial in found)


SCRIPT = """
import sys
sys.path.append({tests!r})
from pathlib import Path
from device_cases import load_slow_on_device, shared_plan
from fake_victims import linear_jobs
from robench.search.workers import run_workers

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    plan = shared_plan(folder, "genetic", load=load_slow_on_device)
    for number, trial in enumerate(run_workers(plan, linear_jobs(400, words=8), 2)):
        (folder / "trial").touch()
"""


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.many)],
    ids=lambda each: each.name,
)
def test_a_run_that_is_ended_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(TESTS)))
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    for _ in range(2400):
        if (tmp_path / "trial").exists():
            break
        assert process.poll() is None, "the run ended early"
        time.sleep(0.05)
    ended = time.monotonic()
    process.send_signal(number)
    # The end of stderr comes when its last process has ended.
    process.communicate(timeout=60)
    assert time.monotonic() - ended < 30
    for _ in range(600):
        if not _alive(process.pid):
            assert not left_in_memory(process.pid)
            return
        time.sleep(0.05)
    raise AssertionError("a process is left")


def _alive(group: int) -> list[str]:
    """Return the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(state[2]) == group and state[0] != "Z":
            found.append(path.name)
    return found
