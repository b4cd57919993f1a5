"""Tests of the engine with many examples.

They check the order of trials and errors, memory, shared forward passes, bf16 and random streams.
"""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from engine_cases import (
    SUBSTITUTES,
    Everything,
    FunctionAttack,
    attack_one,
    choice_of,
    victim_that_dislikes,
)
from fake_victims import linear_jobs, load_linear, load_rough, make_job

from robench import Choice, Oracle, SearchSpace, Trial, Verdict
from robench.search.engine import BATCH, Job, example_rng, run
from robench.search.example_run import ExampleRun
from robench.search.oracle import PooledOracle
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes


def _end_with_143(number: int, frame: object) -> None:
    raise SystemExit(143)


@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize(
    ("number", "end"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_the_end_that_a_signal_asks_for_comes_after_the_finished_trials(
    number: signal.Signals,
    end: type[BaseException],
    swallowed: bool,
    request: pytest.FixtureRequest,
) -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        oracle.logits(space.original()[None])
        if label == 0 and space.words == ("good",):
            try:
                signal.raise_signal(number)
            except BaseException:
                if not swallowed:
                    raise
        return None

    before = signal.signal(signal.SIGTERM, _end_with_143)
    request.addfinalizer(lambda: signal.signal(signal.SIGTERM, before))

    jobs = [make_job("a film", SUBSTITUTES, number=number) for number in range(5)] + [
        make_job("good", SUBSTITUTES, number=9)
    ]
    trials = run(victim_that_dislikes(), FunctionAttack(search), "doing", jobs)
    finished: list[Trial] = []
    with pytest.raises(end):
        finished.extend(trials)
    assert sorted(trial.id for trial in finished) == [f"fake/{number:04d}" for number in range(5)]


@pytest.mark.parametrize("good", [0, 1, 16, BATCH, BATCH + 1, 2 * BATCH])
def test_an_error_in_the_jobs_comes_after_the_finished_trials(good: int) -> None:
    def jobs() -> Iterator[Job]:
        yield from (make_job("a film", SUBSTITUTES, number=number) for number in range(good))
        raise RuntimeError("no more surface")

    finished: list[Trial] = []
    with pytest.raises(RuntimeError, match="no more surface"):
        finished.extend(
            run(victim_that_dislikes(), FunctionAttack(lambda *_: None), "doing", jobs())
        )
    assert len(finished) == good


def test_closing_the_run_ends_every_search() -> None:
    ended = []

    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        try:
            for row in product(*(range(size) for size in space.sizes.tolist())):
                oracle.logits(choice_of(*row)[None])
        finally:
            ended.append(space.words)
        return None

    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(200)]
    trials = run(victim_that_dislikes(), FunctionAttack(search), "doing", jobs, max_running=50)
    next(trials)
    trials.close()  # type: ignore[attr-defined]
    assert len(ended) >= 50


def test_jobs_are_taken_only_if_there_is_room() -> None:
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(500):
            taken.append(number)
            yield make_job("a film good", SUBSTITUTES, number=number)

    trials = run(victim_that_dislikes(), Everything(), "all", jobs(), max_running=8)
    next(trials)
    assert len(taken) < 100


@pytest.mark.parametrize("disliked", ["nice", "nothing"])
def test_a_finished_search_leaves_nothing_in_memory(
    disliked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of a finished search is freed without the garbage collector.

    On long texts the answers of a search take megabytes.
    """
    oracles: list[weakref.ref[Any]] = []
    cores: list[weakref.ref[Any]] = []

    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        oracles.append(weakref.ref(oracle))
        return Everything().search(space, oracle, label, rng)

    def remembered(self: ExampleRun) -> PooledOracle:
        cores.append(weakref.ref(oracle := make(self)))
        return oracle

    make = ExampleRun._pooled_oracle
    monkeypatch.setattr(ExampleRun, "_pooled_oracle", remembered)

    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(300)]
    gc.collect()
    gc.disable()
    try:
        trials = list(run(victim_that_dislikes(disliked), FunctionAttack(search), "doing", jobs))
        alive = [sum(oracle() is not None for oracle in some) for some in (oracles, cores)]
    finally:
        gc.enable()
    assert len(trials) == len(oracles) == len(cores) == 300
    assert max(alive) <= 1


def test_queries_of_many_searches_share_forwards() -> None:
    victim = victim_that_dislikes()
    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(256)]
    list(run(victim, Everything(), "all", jobs))
    full = [rows for rows, _ in victim.forwards if rows == Shapes().most]
    assert sum(full) >= 0.8 * 256 * 6


def test_clean_texts_and_verdicts_of_many_examples_share_forwards() -> None:
    def search(space: SearchSpace, oracle: Oracle, *_: object) -> Choice:
        oracle.logits(choice_of(0, 2, 0)[None])
        return choice_of(0, 2, 0)

    victim = victim_that_dislikes("nice")
    jobs = [make_job("a good film", SUBSTITUTES, number=number) for number in range(160)]
    assert {trial.verdict for trial in run(victim, FunctionAttack(search), "doing", jobs)} == {
        Verdict.FOOLED
    }
    assert sum(rows for rows, _ in victim.forwards) <= 3 * 160 + 64
    assert len(victim.forwards) <= 3 * 160 / BATCH


def test_few_examples_wait_for_their_clean_prediction_at_once() -> None:
    """A worker does not take all jobs at once, even if no texts share a forward pass.

    Here every text has its own length. A worker that takes them all leaves none to the others.
    """
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(4 * BATCH):
            taken.append(number)
            yield make_job(" ".join(["a"] * (number + 1)), SUBSTITUTES, number=number)

    next(run(victim_that_dislikes(), FunctionAttack(lambda *_: None), "doing", jobs()))
    assert len(taken) <= 2 * BATCH


def test_searches_start_before_half_full_forwards_are_computed() -> None:
    """Starting searches first fills the forward passes of the others."""
    victim = victim_that_dislikes()

    def search(space: SearchSpace, oracle: Oracle, *_: object) -> None:
        oracle.logits(
            np.repeat(space.original()[None], 3, axis=0)
            + np.arange(3, dtype=np.int16)[:, None] * (space.sizes == 3)
        )

    shapes = Shapes(tokens=1000, most=6, floor=1)
    jobs = [
        make_job(f"{'film ' * (number % 4)}good", {"good": ["fine", "nice"]}, number=number)
        for number in range(64)
    ]
    list(run(victim, FunctionAttack(search), "doing", jobs, shapes=shapes))
    searched = [rows for rows, _ in victim.forwards if rows > 1]
    assert sum(rows == 6 for rows in searched) >= 0.8 * 64 * 3 / 6


def test_every_job_gives_one_trial() -> None:
    jobs = linear_jobs(70, words=3)
    trials = list(run(load_linear(), Everything(), "all", jobs))
    assert sorted(trial.id for trial in trials) == sorted(job.example.id for job in jobs)
    assert list(run(victim_that_dislikes(), Everything(), "all", [])) == []


def test_proved_and_fooled_agree_with_the_whole_space() -> None:
    jobs = linear_jobs(70, words=4)
    victim = load_linear()
    for trial in run(victim, Everything(), "all", jobs):
        job = next(job for job in jobs if job.example.id == trial.id)
        rows = np.array(
            list(product(*(range(size) for size in job.space.sizes.tolist()))), dtype=np.int16
        )
        candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
        wrong = victim.logits(*candidates.encode(rows)).argmax(axis=1) != 0
        assert trial.verdict == (
            Verdict.WRONG if wrong[0] else Verdict.FOOLED if wrong.any() else Verdict.HELD_PROVED
        )


def wrong_in_bf16(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Answer class 1 for every text, as a wrong bf16 might."""
    return np.asarray(logits - np.array([100, 0], dtype=np.float32))


def test_the_search_never_sees_a_success_in_bf16_only() -> None:
    victim = victim_that_dislikes()
    victim.rough = wrong_in_bf16
    trial = attack_one(Everything().search, victim, precision="bf16")
    assert (trial.verdict, trial.disbelieved, trial.forwarded) == (Verdict.HELD, False, 6)
    assert {"bf16", "fp32"} == set(victim.precisions)


def test_bf16_answers_prove_nothing() -> None:
    trial = attack_one(Everything().search, precision="bf16")
    assert trial.verdict == Verdict.HELD
    assert "proves nothing" in str(trial.problem)
    assert attack_one(Everything().search, precision="fp32").verdict == Verdict.HELD_PROVED
    alone = attack_one(lambda *_: None, job=make_job("a", {}), precision="bf16")
    # Nothing was searched, and the clean prediction is in fp32.
    assert alone.verdict == Verdict.HELD_PROVED


def test_a_search_in_bf16_finds_what_one_in_fp32_finds() -> None:
    """If bf16 errors are below the bound, a bf16 search finds exactly the successes of fp32."""
    jobs = linear_jobs(60, words=4)
    exact = {trial.id: trial for trial in run(load_rough(), Everything(), "all", jobs)}
    victim = load_rough()
    rough = {
        trial.id: trial
        for trial in run(victim, Everything(), "all", jobs, SearchSettings(precision="bf16"))
    }
    assert {trial.verdict for trial in exact.values()} >= {Verdict.FOOLED, Verdict.HELD_PROVED}
    for example, trial in rough.items():
        assert (trial.verdict == Verdict.FOOLED) == (exact[example].verdict == Verdict.FOOLED)
        assert trial.changes == exact[example].changes
        assert not trial.disbelieved
    confirmed = sum(
        rows
        for (rows, _), precision in zip(victim.forwards, victim.precisions, strict=True)
        if precision == "fp32"
    )
    assert 0 < confirmed < sum(trial.forwarded for trial in rough.values())


@pytest.mark.parametrize(("precision", "forwards"), [("fp32", 3), ("bf16", 5)])
def test_a_verdict_queries_the_words_only_if_the_search_did_not_in_fp32(
    precision: str, forwards: int
) -> None:
    def asks_first(space: SearchSpace, oracle: Oracle, *_: object) -> Choice:
        choice = choice_of(1, 0)
        oracle.logits(choice[None])
        return choice

    job = make_job("good film", {"good": ["nice"]})
    victim = victim_that_dislikes("nice")
    trial = attack_one(asks_first, victim, job, precision=precision)
    assert (trial.verdict, trial.forwarded) == (Verdict.FOOLED, 1)
    # The clean text, the query and the string. In bf16 a success is computed again, and the
    # verdict asks about the words.
    assert len(victim.forwards) == forwards
    unasked = victim_that_dislikes("nice")
    assert attack_one(lambda *_: choice_of(1, 0), unasked, job).verdict == Verdict.FOOLED
    assert len(unasked.forwards) == 3


def test_the_random_stream_depends_on_seed_attack_and_example() -> None:
    draws = {
        (seed, attack, example): example_rng(seed, attack, example).integers(1 << 60)
        for seed in (0, 1)
        for attack in ("a", "b")
        for example in ("x", "y")
    }
    assert len(set(draws.values())) == 8
    assert all(example_rng(*key).integers(1 << 60) == draw for key, draw in draws.items())
    assert example_rng(1, "0", "x").integers(1 << 60) != example_rng(10, "", "x").integers(1 << 60)


def test_the_random_stream_never_changes() -> None:
    assert example_rng(0, "genetic", "imdb/0123456789abcdef").integers(
        1 << 32, size=3
    ).tolist() == [
        2290333055,
        3252217126,
        3067103401,
    ]
