"""Signals, kills and plugins that end the process, with real command lines and processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ending_guests import install_ending_guests
from fault_cases import few

from robench.search.trials import TrialFile

# One process runs them all, because they share a finished run.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ends")]

ROOT = Path(__file__).parents[2]
QUICK = ["--lm", "none", "--option", "defense.epochs=1", "--option", "defense.train_examples=64"]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    site = install_ending_guests(tmp_path_factory.mktemp("site"))
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{site}", "OMP_NUM_THREADS": "1"}


Begin = Callable[..., subprocess.Popen[str]]
SOON = 3
"""Seconds after which a signalled run must be gone. An idle machine needs less than one; the bound
is larger because tests run on machines that do other work too."""


def start(env: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "robench", *arguments],
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def evaluate(out: Path, *arguments: str, limit: int = 12, workers: int = 2) -> list[str]:
    words = ["evaluate", *QUICK, "--limit", str(limit), "--workers", str(workers)]
    return [*words, "--out", str(out), *arguments]


def await_line(process: subprocess.Popen[str], text: str) -> None:
    """Read stderr until a line holds ``text``."""
    assert process.stderr is not None
    for line in iter(process.stderr.readline, ""):
        if text in line:
            return
    raise AssertionError(f"the run ended before '{text}'")


def await_trials(out: Path, count: int) -> None:
    for _ in range(6000):
        if sum(len(TrialFile(path).read()) for path in out.glob("trials/*.jsonl")) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no trials came")


def seconds_until_gone(group: int) -> float:
    started = time.monotonic()
    while time.monotonic() - started < 30 and _members(group):
        time.sleep(0.01)
    return time.monotonic() - started


def _members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def workers_of(group: int) -> list[int]:
    """Return the children of the group's fork server."""
    parents = forked_in(group)
    return [member for member, parent in parents.items() if parent in parents]


def server_of(group: int) -> int:
    """Return the group's fork server."""
    parents = forked_in(group)
    return next(member for member, parent in parents.items() if parent not in parents)


def forked_in(group: int) -> dict[int, int]:
    """Return the fork server and its children, each with the process that started it."""
    parents = {}
    for member in _members(group):
        try:
            command = Path("/proc", member, "cmdline").read_bytes()
            stat = Path("/proc", member, "stat").read_text()
        except OSError:
            continue
        if b"multiprocessing.forkserver" in command:
            parents[int(member)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def trials_of(out: Path) -> dict[str, Any]:
    (path,) = out.glob("trials/*.jsonl")
    return {trial.id: trial.model_dump(exclude={"seconds"}) for trial in TrialFile(path).read()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, env: Mapping[str, str]) -> Path:
    """A finished run; others begin with its victim and its surface."""
    out = tmp_path_factory.mktemp("undisturbed")
    words = evaluate(out, "--defense", "standard", "--attack", "genetic", limit=40, workers=1)
    done = start(env, *words)
    output = done.communicate(timeout=600)
    assert done.returncode == 0, output
    return out


@pytest.fixture
def begun(undisturbed: Path, tmp_path: Path) -> Path:
    """A folder with the victim and the surface of ``undisturbed``, and without its trials."""
    for part in ("victims", "surfaces"):
        (tmp_path / part).symlink_to(undisturbed / part)
    return tmp_path


@pytest.fixture
def begin(begun: Path, env: Mapping[str, str]) -> Begin:
    """Start the same run in ``begun``."""

    def begin(workers: int = 2) -> subprocess.Popen[str]:
        words = ["--defense", "standard", "--attack", "genetic"]
        return start(env, *evaluate(begun, *words, limit=40, workers=workers))

    return begin


@pytest.mark.parametrize(
    ("number", "code", "sentence"),
    [
        pytest.param(signal.SIGINT, 130, "Interrupted.", marks=pytest.mark.many),
        (signal.SIGTERM, 143, "Ended by SIGTERM."),
        pytest.param(signal.SIGHUP, 129, "Ended by SIGHUP.", marks=pytest.mark.many),
    ],
)
def test_a_signal_keeps_the_trials_and_ends_the_workers_soon(
    tmp_path: Path,
    undisturbed: Path,
    begin: Begin,
    number: int,
    code: int,
    sentence: str,
) -> None:
    run = begin()
    await_trials(tmp_path, 5)
    for _ in range(2):
        run.send_signal(number)
        time.sleep(0.02)
    assert seconds_until_gone(run.pid) < SOON
    _, complaints = run.communicate(timeout=60)
    assert run.returncode == code
    assert complaints.splitlines()[-1] == (
        f"{sentence} What was finished under {tmp_path} is kept; run the same command again to "
        "continue from there."
    )
    assert "Traceback" not in complaints
    # One process continues what two workers began.
    run = begin(workers=1)
    run.communicate(timeout=600)
    assert run.returncode == 0
    assert trials_of(tmp_path) == trials_of(undisturbed)


@pytest.mark.parametrize(
    "who",
    few(
        ["main", "worker", "server", "loading worker", "main while loading"],
        *("main", "worker", "server"),
    ),
)
def test_a_kill_costs_no_trial(tmp_path: Path, undisturbed: Path, begin: Begin, who: str) -> None:
    run = begin()
    if "loading" in who:
        await_line(run, "attacking")
        # A forked worker loads for a moment only; the server imports for seconds.
        while not (workers_of if "worker" in who else forked_in)(run.pid):
            assert run.poll() is None, "the run ended early"
            time.sleep(0.02)
    else:
        await_trials(tmp_path, 5)
    if "main" not in who:
        killed = server_of(run.pid) if who == "server" else workers_of(run.pid)[0]
        os.kill(killed, signal.SIGKILL)
        _, complaints = run.communicate(timeout=600)
        assert run.returncode == 0, complaints
    else:
        run.kill()
        assert seconds_until_gone(run.pid) < SOON
        run.communicate(timeout=60)
        run = begin(workers=1)
        run.communicate(timeout=600)
        assert run.returncode == 0
    assert trials_of(tmp_path) == trials_of(undisturbed)


@pytest.mark.parametrize("command", ["train", "certify"])
def test_a_signal_during_training_says_what_is_kept(
    tmp_path: Path, env: Mapping[str, str], command: str
) -> None:
    more = ["--option", "defense.epochs=50", "--option", "defense.train_examples=1000"]
    lm = ["--lm", "none"] if command == "certify" else []
    run = start(env, command, "--defense", "standard", "--out", str(tmp_path), *more, *lm)
    await_line(run, "epoch 1:")
    run.send_signal(signal.SIGTERM)
    _, complaints = run.communicate(timeout=60)
    assert run.returncode == 143
    assert "Ended by SIGTERM. What was finished under" in complaints
    assert "Traceback" not in complaints
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("end", few(["system-exit", "os-exit", "os-abort", "loop"], "os-exit"))
def test_an_attack_that_ends_is_an_error_row_and_the_next_attack_runs(
    begun: Path, env: Mapping[str, str], end: str
) -> None:
    words = ["--defense", "standard", "--attack", f"search-{end}", "--attack", "pwws"]
    run = start(env, *evaluate(begun, *words, "--example-seconds", "2", workers=1))
    _, complaints = run.communicate(timeout=600)
    assert run.returncode == 1
    assert "Examples that ended in an error:" in complaints
    records = [json.loads(path.read_text()) for path in (begun / "records").glob("*.json")]
    errors = {each["attack"]["name"]: each["outcomes"].count("E") for each in records}
    assert errors["pwws"] == 0
    assert 0 < errors[f"search-{end}"] < 12
    assert {each["search"]["example_seconds"] for each in records} == {2.0}


def test_an_attack_that_ends_its_worker_from_c_is_given_up_and_the_next_attack_runs(
    begun: Path, env: Mapping[str, str]
) -> None:
    words = ["--defense", "standard", "--attack", "search-c-exit", "--attack", "pwws"]
    # Attacks of others have a worker in any case.
    run = start(env, *evaluate(begun, *words, limit=40, workers=1))
    _, complaints = run.communicate(timeout=600)
    assert run.returncode == 1
    assert "cost a worker process on 5 different examples" in complaints
    assert "an example may take at most 3600 s (--example-seconds; 0 for no limit)" in complaints
    assert len(list((begun / "records").glob("*pwws*.json"))) == 1


@pytest.mark.parametrize("end", ["c-exit", "os-exit"])
def test_a_plugin_that_ends_the_process_in_its_import_is_named(
    tmp_path: Path, env: Mapping[str, str], end: str
) -> None:
    words = ["--defense", "standard", "--attack", f"imported-{end}"]
    run = start(env, *evaluate(tmp_path, *words, workers=1))
    _, complaints = run.communicate(timeout=600)
    said = complaints.splitlines()[-1]
    assert f"attack 'imported-{end}' from package 'ending-guests'" in said
    assert said.endswith("Fix or uninstall that package.")
    # C ends the process with a code of its own.
    assert run.returncode == (0 if end == "c-exit" else 2)


@pytest.mark.parametrize("end", few(["system-exit", "os-exit", "os-abort"], "os-exit"))
def test_a_defense_that_ends_is_one_failure_and_the_other_victims_have_records(
    begun: Path, env: Mapping[str, str], end: str
) -> None:
    words = ["--defense", f"training-{end}", "--defense", "standard", "--attack", "pwws"]
    run = start(env, *evaluate(begun, *words, workers=1))
    _, complaints = run.communicate(timeout=600)
    assert run.returncode == 1
    assert "Parts of the run that failed: 1; all else is finished." in complaints
    assert "which ends the whole process. It was not ended." in complaints
    assert len(list((begun / "records").glob("*.json"))) == 1


def test_two_runs_attack_each_example_of_a_cell_once(
    tmp_path: Path, undisturbed: Path, begin: Begin
) -> None:
    runs = [begin(workers=1), begin(workers=1)]
    for run in runs:
        output = run.communicate(timeout=600)
        assert run.returncode == 0, output
    (path,) = tmp_path.glob("trials/*.jsonl")
    # The first line is the header.
    assert path.read_bytes().count(b"\n") == 41
    assert trials_of(tmp_path) == trials_of(undisturbed)
