"""A search that takes too long is an ERROR; its neighbours have the trials of an unlimited run."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest
from fake_victims import linear_jobs, load_linear, make_job
from worker_cases import BAD, Endless, Unruly

from robench import ATTACKS, Trial, Verdict
from robench.search.attack import Attack
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings

SUBSTITUTES = {f"w{number}": [f"w{number}a", f"w{number}b"] for number in range(40)}
LONG = " ".join([BAD, *(f"w{number}" for number in range(12))])
"""A text with more variants than anybody can ask in the time."""
LIMIT = SearchSettings(example_seconds=0.3)


def jobs_with_a_bad_one() -> list[Job]:
    jobs = linear_jobs(12, words=4)
    return [*jobs[:6], make_job(LONG, SUBSTITUTES, number=100), *jobs[6:]]


def trials_of(attack: Attack, settings: SearchSettings = LIMIT) -> dict[str, Trial]:
    found = run(load_linear(), attack, "unruly", jobs_with_a_bad_one(), settings)
    return {trial.id: trial for trial in found}


def unruly(**options: Any) -> Attack:
    return Unruly(Unruly.Options(**options))


@pytest.mark.parametrize(
    "attack", [unruly(how="loop"), unruly(how="sleep"), Endless()], ids=["loop", "sleep", "asks"]
)
def test_a_search_without_end_is_one_error(attack: Attack) -> None:
    started = time.monotonic()
    trials = trials_of(attack)
    assert time.monotonic() - started < 20
    bad = trials.pop("fake/0100")
    assert bad.verdict == Verdict.ERROR
    assert bad.problem == "the search took longer than 0.3 s (--example-seconds)"
    assert bad.prediction == 0
    assert len(trials) == 12
    assert all(trial.verdict != Verdict.ERROR for trial in trials.values())
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_search_that_catches_the_end_of_its_time_is_an_error_all_the_same() -> None:
    class Catching(Unruly):
        def search(self, space: Any, oracle: Any, label: int, rng: Any) -> Any:
            try:
                return super().search(space, oracle, label, rng)
            except BaseException:
                return space.original()

    trials = trials_of(Catching(Unruly.Options(how="loop")))
    assert trials["fake/0100"].verdict == Verdict.ERROR
    assert "took longer than 0.3 s" in str(trials["fake/0100"].problem)


@pytest.mark.parametrize("name", ["pwws", "genetic"])
def test_a_generous_limit_changes_no_trial(name: str) -> None:
    jobs = linear_jobs(20, words=6)

    def found(settings: SearchSettings) -> list[Trial]:
        trials = run(load_linear(), ATTACKS.get(name)(), name, jobs, settings)
        return [trial.model_copy(update={"seconds": 0.0}) for trial in trials]

    assert found(SearchSettings(example_seconds=600)) == found(SearchSettings())


def test_only_the_time_of_the_example_itself_counts() -> None:
    class Slow(Attack):
        def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
            for _ in range(3):
                time.sleep(0.02)
                oracle.logits(space.original()[None])

    trials = run(
        load_linear(), Slow(), "slow", linear_jobs(20, words=4), SearchSettings(example_seconds=0.6)
    )
    assert all(trial.verdict != Verdict.ERROR for trial in trials)


def test_the_alarm_of_others_stays() -> None:
    def own(number: int, frame: object) -> None:
        return None

    before = signal.signal(signal.SIGALRM, own)
    try:
        # Without the alarm, a search ends at its next query.
        assert trials_of(Endless())["fake/0100"].verdict == Verdict.ERROR
        assert signal.getsignal(signal.SIGALRM) is own
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_thread_has_no_alarm_and_ends_a_search_at_its_next_query() -> None:
    found: dict[str, Trial] = {}
    thread = threading.Thread(target=lambda: found.update(trials_of(Endless())))
    thread.start()
    thread.join(60)
    assert found["fake/0100"].verdict == Verdict.ERROR


def test_an_interrupted_run_gives_its_alarm_back() -> None:
    trials = run(load_linear(), unruly(), "unruly", linear_jobs(12, words=4), LIMIT)
    next(trials)
    trials.close()  # type: ignore[attr-defined]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
