"""Several forward passes in flight: the same trials, whatever ends first, fails or is given up."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from fake_victims import FakeVictim, linear_jobs, load_linear, load_rough, make_job
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_cases import at_random, on_device

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace, Trial
from robench._base.environment import Precision
from robench.search.batching import Pool, RowRequest, logits_of_rows
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.packing import choose_shapes
from robench.search.settings import SearchSettings
from robench.search.shapes import Bucket, Shapes

FIXED = Shapes(tokens=64, most=8, floor=4, fixed=True)
LETTERS = "abcdefghij"


class OutOfMemoryError(RuntimeError):
    """Stands for torch's, which is known by its name."""


def trials(
    victim: FakeVictim,
    jobs: list[Job],
    name: str = "pwws",
    precision: Precision = "fp32",
    **engine: Any,
) -> list[Trial]:
    cls = ATTACKS.get(name)
    small = {"population": 6, "iterations": 3} if name == "genetic" else {}
    search = SearchSettings(precision=precision)
    found = run(victim, cls(cls.Options(**small)), name, jobs, search, shapes=FIXED, **engine)
    same = (trial.model_copy(update={"seconds": 0.0}) for trial in found)
    return sorted(same, key=lambda trial: trial.id)


def letters_victim(**settings: Any) -> FakeVictim:
    return FakeVictim(
        {letter: [0.0, float(number)] for number, letter in enumerate(LETTERS)}, **settings
    )


def put(pool: Pool, victim: FakeVictim, *texts: str, order: int = 0) -> RowRequest:
    """Queue texts of one length as one request."""
    request = RowRequest(None, len(texts), order)
    ids = np.array(
        [victim.encoder_fields.ids({"text": text.split()}) for text in texts], dtype=np.int32
    )
    types = victim.encoder_fields.candidates({}, make_job("a", {}).space, {})
    pool.put(request, types, ids, np.full(len(ids), ids.shape[1], dtype=np.int32))
    return request


def values(request: RowRequest) -> list[float]:
    return [float(row) for row in request.answers[:, 1]]


@pytest.mark.parametrize("name", ["pwws", "genetic", "greedy"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_trials_are_the_same_whatever_ends_first(name: str, depth: int) -> None:
    jobs = linear_jobs(24)
    usual = trials(load_linear(), jobs, name)
    assert len({trial.verdict for trial in usual}) > 1
    for seed, most in ((0, 256), (1, 3), (2, 1)):
        victim = load_linear()
        device = on_device(victim, at_random(seed), depth)
        assert trials(victim, jobs, name, max_running=most) == usual
        assert device.most <= depth
        assert not device.flying


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_doubtful_answers_in_flight_are_asked_again(share: float) -> None:
    jobs = linear_jobs(24)
    usual = trials(load_rough(), jobs, precision="bf16")
    victim = load_rough()
    on_device(victim, at_random(3, share))
    assert trials(victim, jobs, precision="bf16") == usual
    assert set(victim.precisions) == {"bf16", "fp32"}


def test_the_next_forward_passes_are_packed_while_one_runs() -> None:
    victim = load_linear()
    device = on_device(victim)
    seen: list[int] = []
    device.break_off = lambda ids: seen.append(len(device.flying))
    trials(victim, linear_jobs(40))
    assert device.most == 3
    # When an answer is waited for, the queue is full most of the time: two others are in flight.
    assert np.mean(np.array(seen) == 2) > 0.5


def test_answers_that_are_there_are_taken_out_of_turn() -> None:
    victim = letters_victim()
    device = on_device(victim, lambda number: number == 1)
    pool = Pool(victim, Shapes(most=2, floor=1))
    first, second = put(pool, victim, "a", "b"), put(pool, victim, "c d", "d d")
    for bucket in (Bucket(3), Bucket(4)):
        assert pool.has_room
        assert pool.start(bucket) == []
    assert pool.collect(wait=False) == [second]
    assert pool.collect(wait=False) == []
    assert pool.collect(wait=True) == [first]
    assert pool.collect(wait=True) == []
    assert (values(first), values(second)) == ([0, 1], [5, 6])
    assert device.landed == [1, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=9), min_size=1, max_size=7),
    st.integers(1, 5),
    st.integers(0, 2**16),
)
def test_every_request_gets_its_own_answers_in_order(
    requests: list[list[str]], most: int, seed: int
) -> None:
    victim = letters_victim()
    on_device(victim, at_random(seed))
    pool, random = Pool(victim, Shapes(most=most, floor=1)), np.random.default_rng(seed)
    asked, done = [], []
    for order, texts in enumerate(requests):
        asked.append(put(pool, victim, *texts, order=order))
        if random.random() < 0.5 and pool.has_room and (bucket := pool.fullest()) is not None:
            done += pool.start(bucket)
        done += pool.collect(wait=False)
    while pool.flying or pool.fullest() is not None:
        if (bucket := pool.fullest()) is not None and pool.has_room:
            done += pool.start(bucket)
        else:
            done += pool.collect(wait=True)
    assert sorted(map(id, done)) == sorted(map(id, asked))
    for request, texts in zip(asked, requests, strict=True):
        assert values(request) == [LETTERS.index(text) for text in texts]


def fail_on(word: str, victim: FakeVictim, error: Exception) -> Callable[[Any], None]:
    number = victim.table.numbers[word]

    def check(ids: np.ndarray) -> None:
        if (ids == number).any():
            raise error

    return check


@pytest.mark.parametrize("when", ["refuse", "break_off"])
def test_a_row_that_fails_in_flight_harms_its_own_request_only(when: str) -> None:
    victim = letters_victim()
    device = on_device(victim)
    setattr(device, when, fail_on("c", victim, RuntimeError("no c here")))
    pool = Pool(victim, Shapes(most=9, floor=1))
    good, bad, late = (put(pool, victim, *texts) for texts in ("ab", "cd", "ef"))
    done = pool.start(Bucket(3)) + pool.collect(wait=True)
    assert done == [good, bad, late]
    assert str(bad.failure) == "no c here"
    assert (good.failure, late.failure) == (None, None)
    assert (values(good), values(late)) == ([0, 1], [4, 5])


@pytest.mark.parametrize("when", ["refuse", "break_off"])
def test_a_failure_in_flight_is_an_error_of_its_examples(when: str) -> None:
    victim, jobs = load_linear(), linear_jobs(12)
    usual = trials(load_linear(), jobs)
    device = on_device(victim, at_random(1))
    substitute = next(option for option in jobs[3].space.options[jobs[3].space.positions[0]][1:])
    setattr(device, when, fail_on(substitute, victim, RuntimeError("bad weather")))
    found = trials(victim, jobs)
    concerned = {
        job.example.id for job in jobs if any(substitute in each for each in job.space.options)
    }
    assert jobs[3].example.id in concerned
    assert len(concerned) < len(jobs)
    for trial, before in zip(found, usual, strict=True):
        if trial.id in concerned:
            assert "bad weather" in str(trial.problem)
        else:
            assert trial == before


def test_a_request_in_two_forward_passes_is_reported_once_when_one_fails() -> None:
    victim = letters_victim()
    device = on_device(victim)
    device.break_off = fail_on("a", victim, RuntimeError("no a here"))
    pool = Pool(victim, Shapes(most=2, floor=1))
    request = put(pool, victim, *"abcd")
    assert pool.start(Bucket(3)) == pool.start(Bucket(3)) == []
    assert pool.collect(wait=True) == [request]
    assert pool.collect(wait=True) == []
    assert str(request.failure) == "no a here"


def test_answers_for_an_example_that_has_ended_are_dropped() -> None:
    victim = letters_victim()
    on_device(victim)
    pool = Pool(victim, Shapes(most=4, floor=1))
    ended, other = put(pool, victim, "a", "b"), put(pool, victim, "c", "d")
    pool.start(Bucket(3))
    pool.forget(ended)
    assert pool.collect(wait=True) == [other]
    assert not len(ended.answers)
    assert values(other) == [2, 3]


def test_a_handle_that_cannot_say_whether_it_is_ready_is_asked_for_its_answer() -> None:
    victim = letters_victim()

    def broken(number: int) -> bool:
        raise RuntimeError("the event is gone")

    on_device(victim, broken)
    pool = Pool(victim, Shapes(most=4, floor=1))
    request = put(pool, victim, "b")
    pool.start(Bucket(3))
    assert pool.collect(wait=False) == [request]
    assert values(request) == [1]


@pytest.mark.parametrize("when", ["refuse", "break_off"])
def test_without_memory_for_several_forward_passes_there_is_one_at_a_time(when: str) -> None:
    victim = letters_victim()
    device = on_device(victim)
    most_rows: list[int] = []

    def crowded(ids: np.ndarray) -> None:
        most_rows.append(len(ids))
        if len(device.flying) > (0 if when == "break_off" else 1):
            raise OutOfMemoryError("CUDA out of memory")

    pool = Pool(victim, Shapes(most=2, floor=1))
    requests = [put(pool, victim, text, text) for text in LETTERS]
    done = []
    for _ in range(2):
        assert pool.has_room
        done += pool.start(Bucket(3))
    setattr(device, when, crowded)
    while pool.flying or pool.fullest() is not None:
        if (bucket := pool.fullest()) is not None and pool.has_room:
            done += pool.start(bucket)
        else:
            done += pool.collect(wait=True)
    assert sorted(map(id, done)) == sorted(map(id, requests))
    assert [values(request) for request in requests] == [[n, n] for n in range(10)]
    # The forward pass kept its shape, so no last bit of an answer can have changed.
    assert set(most_rows) == {2}
    assert device.queued <= 12


def test_a_forward_pass_too_large_for_the_memory_is_tried_in_pieces() -> None:
    victim = letters_victim()
    device = on_device(victim)

    def small_only(ids: np.ndarray) -> None:
        if len(ids) > 2:
            raise OutOfMemoryError("CUDA out of memory")

    device.break_off = small_only
    pool = Pool(victim, Shapes(tokens=64, most=8, floor=2, fixed=True))
    requests = [put(pool, victim, *texts) for texts in ("ab", "cd", "e")]
    assert pool.start(Bucket(3)) == []
    assert pool.collect(wait=True) == requests
    assert [values(request) for request in requests] == [[0, 1], [2, 3], [4]]


def test_a_row_too_large_for_the_memory_is_a_failure_of_its_own() -> None:
    victim = letters_victim()
    device = on_device(victim)
    device.break_off = fail_on("c", victim, OutOfMemoryError("CUDA out of memory"))
    pool = Pool(victim, Shapes(most=4, floor=1))
    good, bad = put(pool, victim, "a", "b"), put(pool, victim, "c")
    pool.start(Bucket(3))
    assert pool.collect(wait=True) == [good, bad]
    assert (good.failure, str(bad.failure)) == (None, "CUDA out of memory")


@pytest.mark.parametrize("when", ["refuse", "break_off"])
def test_a_victim_that_wants_to_end_the_process_is_an_error(when: str) -> None:
    victim = letters_victim()
    device = on_device(victim)
    setattr(device, when, fail_on("a", victim, SystemExit("bye")))  # type: ignore[arg-type]
    pool = Pool(victim, Shapes(most=4, floor=1))
    request = put(pool, victim, "a")
    assert pool.start(Bucket(3)) + pool.collect(wait=True) == [request]
    assert "bye" in str(request.failure)


@pytest.mark.parametrize("answer", [np.full((9, 2), np.nan), np.zeros((1, 2))])
def test_an_impossible_answer_from_the_device_is_a_failure(answer: np.ndarray) -> None:
    victim = letters_victim()
    on_device(victim)
    victim.logits = lambda *arguments: answer  # type: ignore[method-assign]
    pool = Pool(victim, Shapes(most=4, floor=1))
    request = put(pool, victim, "a", "b")
    pool.start(Bucket(3))
    assert pool.collect(wait=True) == [request]
    assert "the victim answered 2 rows" in str(request.failure)


class Noted(Attack):
    """PWWS that notes when one of its searches has ended, in whatever way."""

    ended: ClassVar[list[int]] = []

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        try:
            return ATTACKS.get("pwws")().search(space, oracle, label, rng)
        finally:
            self.ended.append(label)


def test_closing_a_run_gives_up_what_is_in_flight() -> None:
    victim = load_linear()
    device = on_device(victim, at_random(0))
    Noted.ended.clear()
    found = run(victim, Noted(), "noted", linear_jobs(40), shapes=FIXED)
    assert any(device.flying for _ in found)
    landed, ended = len(device.landed), len(Noted.ended)
    found.close()  # type: ignore[attr-defined]
    assert len(device.landed) == landed
    assert len(Noted.ended) > ended


def test_ctrl_c_ends_the_run_while_an_answer_is_awaited() -> None:
    victim = load_linear()
    device = on_device(victim)

    def interrupt(ids: np.ndarray) -> None:
        if len(device.landed) > 12:
            signal.raise_signal(signal.SIGINT)

    device.break_off = interrupt
    found = run(victim, Noted(), "noted", linear_jobs(40), shapes=FIXED)
    with pytest.raises(KeyboardInterrupt):
        list(found)
    assert device.flying
    assert device.queued < 30


def test_the_shapes_are_tried_in_the_queue_in_which_the_search_asks() -> None:
    victim = load_linear()
    device = on_device(victim)
    choose_shapes(victim, "bf16", 30)
    assert device.queued == len(victim.forwards) > 4


def test_single_rows_outside_a_search_go_through_the_queue() -> None:
    victim = letters_victim()
    device = on_device(victim)
    readings = [victim.read({"text": text}) for text in ("a b", "c", "d e f")]
    rows = [(each, each.ids[None], np.array([len(each.ids)], dtype=np.int32)) for each in readings]
    assert logits_of_rows(victim, rows)[:, 1].tolist() == [1, 2, 12]
    assert device.queued == 3


def test_a_victim_without_a_queue_has_nothing_in_flight() -> None:
    victim = letters_victim()
    victim.forward_queue = lambda: None  # type: ignore[attr-defined]
    pool = Pool(victim, Shapes(most=4, floor=1))
    request = put(pool, victim, "a")
    assert not pool.has_room
    assert pool.start(Bucket(3)) == [request]
    assert not pool.flying
