"""A dead worker costs the example that ended it, and no other."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_victims import linear_jobs, load_linear, make_job
from worker_cases import (
    BAD,
    Unruly,
    load_dying,
    load_in_workers,
    load_once_mortal,
    load_sending_twice,
    load_slowly,
    load_together,
    load_with_mortal_server,
)

from robench import Trial, Verdict
from robench._base import child as child_module
from robench._base.child import start_child
from robench._base.errors import RobenchError
from robench._base.fork_server import Server
from robench.search import workers as workers_module
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.pulse import LONGEST, Pulse
from robench.search.settings import SearchSettings
from robench.search.unchanged import VictimChanged
from robench.search.worker_deaths import FEW_EXAMPLES, Death, Deaths
from robench.search.workers import WorkerPlan, run_workers

linux = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux only")
SUBSTITUTES = {f"w{number}": [f"w{number}a", f"w{number}b"] for number in range(40)}


def comparable(trials: Sequence[Trial]) -> dict[str, Trial]:
    return {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in trials}


def plan(
    how: str, load: Any = load_in_workers, folder: Path = Path(), **settings: Any
) -> WorkerPlan:
    options = {"how": how, "every": settings.pop("every", False)}
    own = SearchSettings(**settings)
    # The loader's module registers the attack in the worker.
    return WorkerPlan(folder, "unruly", options, own, load=load)


def jobs_with_bad_ones(count: int = 2) -> list[Job]:
    bad = [make_job(f"w{n} {BAD} w2", SUBSTITUTES, number=100 + n) for n in range(count)]
    return [*linear_jobs(20, words=4)[:10], *bad, *linear_jobs(20, words=4)[10:]]


def undisturbed(jobs: Sequence[Job]) -> dict[str, Trial]:
    attack = Unruly(Unruly.Options(how="nothing"))
    return comparable(list(run(load_linear(), attack, "unruly", jobs)))


@contextmanager
def killing(find: Callable[[], int | None]) -> Iterator[None]:
    """Kill a process during the block, as soon as ``find`` returns its number."""

    def look() -> None:
        ends = time.monotonic() + 300
        while time.monotonic() < ends:
            number = find()
            if number is not None:
                os.kill(number, signal.SIGKILL)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    yield
    thread.join()


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The processes that a pool has made."""
    made: list[object] = []

    def count(*arguments: Any) -> Any:
        made.append(start_child(*arguments))
        return made[-1]

    monkeypatch.setattr(workers_module, "start_child", count)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "problem", "most"),
    [
        ("exit", "SystemExit", 1),
        ("os-exit", "os._exit(0)", 1),
        ("abort", "os.abort()", 1),
        ("hidden-exit", "died on it (exit code 0)", 3),
        ("crash", "died on it twice (killed by SIGSEGV)", 5),
        ("kill", "died on it 3 times (killed by SIGKILL)", 7),
    ],
)
def test_only_the_example_that_ends_its_worker_is_an_error(
    starts: list[object], how: str, problem: str, most: int
) -> None:
    jobs = jobs_with_bad_ones()
    trials = comparable(list(run_workers(plan(how), jobs, 1)))
    errors = [trial for trial in trials.values() if trial.verdict == Verdict.ERROR]
    assert [trial.id for trial in errors] == ["fake/0100", "fake/0101"]
    assert all(problem in str(trial.problem) for trial in errors)
    sound = [job for job in jobs if job.example.id not in ("fake/0100", "fake/0101")]
    assert {job.example.id: trials[job.example.id] for job in sound} == undisturbed(sound)
    assert len(starts) <= most


@pytest.mark.slow
@pytest.mark.parametrize(("how", "late"), [("loop", 1), ("swallow", 3), ("hold", 3)])
def test_a_search_without_end_costs_one_example(
    monkeypatch: pytest.MonkeyPatch, starts: list[object], how: str, late: int
) -> None:
    monkeypatch.setattr(workers_module, "LATE_SECONDS", 0.5)
    jobs = jobs_with_bad_ones()
    made = plan(how, example_seconds=0.5)
    trials = comparable(list(run_workers(made, jobs, 1)))
    errors = {trial.id: trial.problem for trial in trials.values() if trial.verdict == "error"}
    sentence = "the search took longer than 0.5 s (--example-seconds)"
    assert errors == {"fake/0100": sentence, "fake/0101": sentence}
    assert len(trials) == 22
    assert len(starts) == late


@pytest.mark.slow
def test_an_attack_that_always_ends_its_worker_is_given_up_early(starts: list[object]) -> None:
    found: list[Trial] = []
    trials = run_workers(plan("hidden-exit", every=True), linear_jobs(40, words=4), 2)
    with pytest.raises(RobenchError, match="cost a worker process on 5 different examples"):
        found.extend(trials)
    assert sum(trial.verdict == Verdict.ERROR for trial in found) == FEW_EXAMPLES
    assert len(starts) <= FEW_EXAMPLES + 2


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_loads_is_started_again(tmp_path: Path) -> None:
    jobs = linear_jobs(10, words=4)
    trials = run_workers(plan("nothing", load_slowly, tmp_path), jobs, 1)

    def first() -> int | None:
        loading = [path.name.removeprefix("loading-") for path in tmp_path.glob("loading-*")]
        return int(loading[0]) if loading else None

    with killing(first):
        assert comparable(list(trials)) == undisturbed(jobs)
    assert len(list(tmp_path.glob("loading-*"))) == 2


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A fork server that no other test uses."""
    found = Server()
    monkeypatch.setattr(child_module, "SERVER", found)
    return found


@pytest.mark.slow
@linux
def test_a_server_that_ends_while_workers_load_is_one_death(tmp_path: Path, server: Server) -> None:
    """Three deaths in a row would end the cell."""
    jobs = linear_jobs(20, words=4)
    trials = run_workers(plan("nothing", load_together, tmp_path), jobs, 4)

    def their_server() -> int | None:
        return server.number if len(list(tmp_path.glob("loading-*"))) == 4 else None

    with killing(their_server):
        assert comparable(list(trials)) == undisturbed(jobs)
    assert len(list(tmp_path.glob("loading-*"))) > 4


@pytest.mark.slow
@linux
def test_a_server_that_ends_before_the_checks_of_its_workers_is_one_death(
    tmp_path: Path, server: Server, starts: list[object]
) -> None:
    """Four deaths would mean that nobody knows whether the trials count."""
    jobs = linear_jobs(40, words=4)
    made = hiding(load_with_mortal_server, tmp_path, how="nothing", state=False)
    trials = list(run_workers(made, jobs, 4))
    assert sorted(trial.id for trial in trials) == [job.example.id for job in jobs]
    assert len(list(tmp_path.glob("done-*"))) == 4
    assert len(starts) > 4


@pytest.mark.slow
def test_a_worker_that_does_not_end_when_it_is_done_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers_module, "GRACE_SECONDS", 1.0)
    jobs = jobs_with_bad_ones()
    assert comparable(list(run_workers(plan("thread"), jobs, 2))) == undisturbed(jobs)


@pytest.mark.slow
@linux
def test_a_search_that_forks_its_process_has_one_trial_for_each_example() -> None:
    jobs = jobs_with_bad_ones()
    trials = list(run_workers(plan("fork"), jobs, 2))
    assert len(trials) == len(jobs)
    assert comparable(trials) == undisturbed(jobs)


@pytest.mark.slow
def test_a_trial_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(VictimChanged, match=r"sent a trial of fake/0100, which it did not have"):
        list(run_workers(plan("nothing", load_sending_twice), jobs_with_bad_ones(), 1))


def test_workers_that_end_with_one_server_are_one_death() -> None:
    deaths = Deaths("a")
    assert [deaths.is_known(server) for server in (None, 7, 7, None, 8, 7)] == [
        *(False, False, True, False, False, True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "ends"), [(2, False), (50, True)])
def test_a_loading_that_always_fails_ends_after_a_few_tries(
    tmp_path: Path, deaths: int, ends: bool
) -> None:
    (tmp_path / "deaths").write_text(str(deaths))
    jobs = linear_jobs(6, words=4)
    trials = run_workers(plan("nothing", load_dying, tmp_path), jobs, 1)
    if ends:
        with pytest.raises(RobenchError, match=r"3 worker processes in a row ended .*SIGKILL"):
            list(trials)
        assert int((tmp_path / "deaths").read_text()) == deaths - 3
    else:
        assert comparable(list(trials)) == undisturbed(jobs)


@pytest.mark.parametrize(
    ("code", "tries"),
    [(0, 1), (1, 1), (None, 1), (-signal.SIGSEGV, 2), (-signal.SIGKILL, 3), (-signal.SIGTERM, 3)],
)
def test_how_often_an_example_is_tried(code: int | None, tries: int) -> None:
    deaths = Deaths("a")
    problems = [deaths.problem(Death(code, "x", ("x", "y"))) for _ in range(tries)]
    assert problems[:-1] == [None] * (tries - 1)
    assert problems[-1] is not None
    assert deaths.problem(Death(-signal.SIGSEGV, "y", ("y",))) is None


def test_who_is_the_suspect() -> None:
    assert Death(0, "x", ("x", "y")).suspect == "x"
    assert Death(0, None, ("x", "y")).suspect is None
    assert Death(0, None, ("x",)).suspect == "x"
    assert Death(0, None, ()).suspect is None
    assert Death(-200, None, ()).cause == "killed by signal 200"


def test_rare_deaths_do_not_give_the_cell_up() -> None:
    deaths = Deaths("a")
    for number in range(50):
        deaths.fatal(f"x/{number}", "died", finished=1000)
    with pytest.raises(RobenchError, match="on 51 different examples"):
        deaths.fatal("x/51", "died", finished=1000)


def test_the_deaths_while_loading_are_counted_in_a_row() -> None:
    deaths = Deaths("a")
    for _ in range(5):
        deaths.while_loading(0)
        deaths.while_loading(0)
        deaths.loaded()
    deaths.while_loading(0)
    deaths.while_loading(0)
    with pytest.raises(RobenchError, match="in a row ended \\(exit code 0\\)"):
        deaths.while_loading(0)


def test_a_pulse_says_what_runs_and_how_late_it_is() -> None:
    pulse = Pulse()
    assert (pulse.example(["a"]), pulse.late()) == (None, 0.0)
    pulse.begin("b", None)
    assert (pulse.example(["a", "b"]), pulse.late()) == ("b", 0.0)
    assert pulse.example(["a"]) is None
    pulse.begin("a", time.monotonic() - 3)
    assert 3 <= pulse.late() < 4
    pulse.end()
    assert (pulse.example(["a"]), pulse.late()) == (None, 0.0)
    long = "ü" * LONGEST
    pulse.begin(long, time.monotonic() + 60)
    assert (pulse.example(["a", long]), pulse.late()) == (long, 0.0)


@pytest.mark.slow
def test_a_worker_says_that_its_victim_was_changed() -> None:
    with pytest.raises(VictimChanged, match="Attack 'unruly' changed a part of the victim"):
        list(run_workers(plan("meddle"), jobs_with_bad_ones(), 2))


def test_a_worker_says_that_its_attack_keeps_state() -> None:
    own = replace(plan("nothing"), attack="remembering", options={})
    with pytest.raises(VictimChanged, match="Attack 'remembering' gave another trial for"):
        list(run_workers(own, linear_jobs(12, words=4), 1))


def hiding(load: Any = load_in_workers, folder: Path = Path(), **options: Any) -> WorkerPlan:
    return replace(plan("nothing", load, folder), attack="hiding", options=options)


@pytest.mark.slow
def test_an_attack_that_fails_when_an_example_comes_again_is_found() -> None:
    with pytest.raises(VictimChanged, match=r"then error after 0 queries: .*seen before"):
        list(run_workers(hiding(how="raise", state=False), linear_jobs(12, words=4), 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "sentence"),
    [(True, "gave another trial for"), (False, "4 worker processes of attack 'hiding' ended")],
)
def test_a_worker_that_ends_before_its_checks_is_no_way_around_them(
    starts: list[object], state: bool, sentence: str
) -> None:
    with pytest.raises(VictimChanged, match=sentence):
        list(run_workers(hiding(how="kill", state=state), linear_jobs(12, words=4), 1))
    assert len(starts) == (2 if state else 4)


@pytest.mark.slow
def test_a_worker_that_is_killed_once_before_its_checks_costs_nothing(
    tmp_path: Path, starts: list[object]
) -> None:
    jobs = linear_jobs(12, words=4)
    made = hiding(load_once_mortal, tmp_path, how="nothing", state=False)
    trials = list(run_workers(made, jobs, 1))
    assert sorted(trial.id for trial in trials) == [job.example.id for job in jobs]
    assert len(starts) == 2
