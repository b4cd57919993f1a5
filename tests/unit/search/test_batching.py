"""Tests of pooling rows into forward passes.

Padded lengths depend on the row alone, no row is lost, and a bad row harms its own request only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import PAD, FakeVictim, PieceTable, make_job
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.search.batching import LONGEST_WAIT_SECONDS, Pool, Purpose, RowRequest
from robench.search.shapes import Bucket, Shapes

LETTERS = "abcdefghij"


def make_victim(**settings: Any) -> FakeVictim:
    return FakeVictim(
        {letter: [0.0, float(number)] for number, letter in enumerate(LETTERS)},
        max_tokens=100,
        **settings,
    )


def put(
    pool: Pool, victim: FakeVictim, texts: list[str], order: int = 0, label: int | None = None
) -> RowRequest:
    """Queue texts of any lengths as one request."""
    request = RowRequest(None, len(texts), order, label)
    rows = [victim.encoder_fields.ids({"text": text.split()}) for text in texts]
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    ids = np.full((len(rows), lengths.max()), PAD, dtype=np.int32)
    for row, numbers in zip(ids, rows, strict=True):
        row[: len(numbers)] = numbers
    pool.put(
        request, victim.encoder_fields.candidates({}, make_job("a", {}).space, {}), ids, lengths
    )
    return request


def drain(pool: Pool) -> list[RowRequest]:
    answered = []
    while (bucket := pool.fullest()) is not None:
        answered += pool.forward(bucket)
    return answered


def value(text: str) -> float:
    return float(sum(LETTERS.index(word) for word in text.split()))


def test_padded_length_is_a_function_of_the_row_alone_and_never_shorter() -> None:
    shapes = Shapes()
    for length in range(1, 301):
        padded = shapes.padded(length, 300)
        assert length <= padded <= 300
        assert padded - length <= padded / 16
        assert padded == length or length > 32
        assert shapes.padded(padded, 300) == padded


@pytest.mark.parametrize(
    ("length", "rows"), [(1, 128), (12, 128), (24, 100), (50, 48), (100, 24), (250, 9), (512, 8)]
)
def test_a_full_forward_holds_about_2400_tokens(length: int, rows: int) -> None:
    assert Shapes().rows(Bucket(length)) == rows


def test_forwards_have_at_least_the_minimum_or_exactly_the_fixed_rows() -> None:
    assert Shapes(floor=8).filled(3, Bucket(20)) == 8
    assert Shapes(floor=8).filled(11, Bucket(20)) == 11
    assert Shapes(tokens=200, fixed=True, floor=2).filled(3, Bucket(20)) == 10
    assert Shapes(tokens=200, fixed=True, floor=2).filled(1, Bucket(20, small=True)) == 2


def test_shapes_suit_the_victim() -> None:
    victim = make_victim()
    assert Shapes.of(victim) == Shapes(exact=True)
    assert Shapes.of(victim).padded(253, 300) == 253
    victim.table.mode = "subword"
    assert Shapes.of(victim) == Shapes()
    victim.device = "cuda:1"
    assert Shapes.of(victim).fixed


def test_rows_that_cannot_be_padded_are_pooled_by_length() -> None:
    victim = FakeVictim({}, table=PieceTable())
    victim.table.can_pad = False
    assert Shapes.of(victim) == Shapes(exact=True)
    victim.device = "cuda"
    assert (Shapes.of(victim).exact, Shapes.of(victim).fixed) == (True, True)
    # A row of a function is a whole text.
    victim.device, victim.table.mode, victim.table.can_pad = "cpu", "text", True
    assert Shapes.of(victim) == Shapes(exact=True)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(alphabet=LETTERS, min_size=1, max_size=45).map(" ".join),
            min_size=1,
            max_size=30,
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 40),
    st.integers(1, 12),
)
def test_every_request_gets_its_own_answers_in_order(
    requests: list[list[str]], most: int, floor: int
) -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=400, most=most, floor=floor))
    asked = [put(pool, victim, texts) for texts in requests]
    answered = drain(pool)
    assert {id(request) for request in answered} == {id(request) for request in asked}
    assert len(answered) == len(asked)
    for request, texts in zip(asked, requests, strict=True):
        assert request.answers[:, 1].tolist() == [value(text) for text in texts]
    assert all(rows >= floor for rows, _ in victim.forwards)
    assert all(rows <= max(most, floor) for rows, _ in victim.forwards)


def test_only_a_bucket_with_enough_rows_is_full() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=1000, most=4, floor=1))
    put(pool, victim, ["a b", "b c", "a"])
    assert pool.full() is None
    assert pool.fullest() == Bucket(4)
    put(pool, victim, ["c d", "d e", "e f"])
    assert pool.full() == Bucket(4)
    pool.forward(Bucket(4))
    assert pool.full() is None


def test_rows_of_the_older_search_go_first() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=1000, most=2, floor=1))
    younger = put(pool, victim, ["a", "b"], order=2)
    older = put(pool, victim, ["c", "d"], order=1)
    assert pool.forward(Bucket(3)) == [older]
    assert pool.forward(Bucket(3)) == [younger]


def test_a_row_that_the_victim_fails_on_harms_its_own_request_only() -> None:
    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == victim.table.numbers["j"]).any():
            raise RuntimeError("no j here")
        return logits

    victim = make_victim()
    victim.twist = twist
    pool = Pool(victim, Shapes(floor=1))
    good, bad = put(pool, victim, ["a b", "c d"]), put(pool, victim, ["a j", "b"])
    answered = drain(pool)
    assert set(answered) >= {good, bad}
    assert good.answers[:, 1].tolist() == [1.0, 5.0]
    assert good.failure is None
    assert str(bad.failure) == "no j here"


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_numbers_that_are_not_finite_are_a_failure(broken: float) -> None:
    victim = make_victim(twist=lambda ids, logits: logits * np.float32(broken))
    pool = Pool(victim, Shapes(floor=1))
    request = put(pool, victim, ["b"])
    drain(pool)
    assert "not finite" in str(request.failure)


def test_forgotten_requests_cost_no_forward() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(floor=1))
    gone, stays = put(pool, victim, ["a b", "a"]), put(pool, victim, ["c d"])
    pool.forget(gone)
    assert drain(pool) == [stays]
    assert sum(rows for rows, _ in victim.forwards) == 1


def overstate(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Raise logit 1 by 0.3, as an inexact bf16 might."""
    return logits + np.array([0, 0.3], dtype=np.float32)


def rough_victim() -> FakeVictim:
    """Make a victim whose margins for class 0 are 0.1 (a), 1.1 (b) and -0.9 (c)."""
    return FakeVictim({"a": [0.1, 0], "b": [1.1, 0], "c": [0, 0.9]}, rough=overstate)


def test_doubtful_bf16_answers_are_computed_again_in_fp32() -> None:
    victim = rough_victim()
    pool = Pool(victim, Shapes(floor=1), "bf16")
    request = put(pool, victim, ["a", "b", "c"], label=0)
    # Texts a and c are doubtful.
    assert pool.forward(Bucket(3, "bf16")) == []
    assert pool.fullest() == Bucket(3, "fp32")
    assert pool.forward(Bucket(3)) == [request]
    margins = request.answers[:, 0] - request.answers[:, 1]
    # Text b keeps its bf16 answer.
    assert margins == pytest.approx([0.1, 1.1 - 0.3, -0.9])
    assert victim.forwards == [(3, 3), (2, 3)]
    assert victim.precisions == ["bf16", "fp32"]
    assert drain(pool) == []


def test_without_a_label_only_small_margins_are_doubtful() -> None:
    victim = rough_victim()
    pool = Pool(victim, Shapes(floor=1), "bf16")
    request = put(pool, victim, ["a", "b", "c"])
    drain(pool)
    assert request.answers[:, 0] - request.answers[:, 1] == pytest.approx([0.1, 0.8, -1.2])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=1, max_size=6),
    st.integers(1, 7),
    st.integers(1, 5),
)
def test_which_answers_are_confirmed_does_not_depend_on_packing(
    requests: list[list[str]], most: int, floor: int
) -> None:
    victim = rough_victim()
    pool = Pool(victim, Shapes(tokens=30, most=most, floor=floor), "bf16")
    asked = [put(pool, victim, texts, label=0) for texts in requests]
    assert {id(request) for request in drain(pool)} == {id(request) for request in asked}
    for request, texts in zip(asked, requests, strict=True):
        margins = request.answers[:, 0] - request.answers[:, 1]
        assert margins == pytest.approx([{"a": 0.1, "b": 0.8, "c": -0.9}[text] for text in texts])


def test_a_victim_that_fails_in_fp32_harms_doubtful_requests_only() -> None:
    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if victim.precisions[-1] == "fp32":
            raise RuntimeError("no fp32 here")
        return logits

    victim = rough_victim()
    victim.twist = twist
    pool = Pool(victim, Shapes(floor=1), "bf16")
    clear, open_ = put(pool, victim, ["b"], label=0), put(pool, victim, ["b", "a"], label=0)
    assert drain(pool) == [clear, open_]
    assert clear.failure is None
    assert str(open_.failure) == "no fp32 here"


def put_single(
    pool: Pool, victim: FakeVictim, text: str, purpose: Purpose, order: int = 0
) -> RowRequest:
    """Queue one text as the clean text or the verdict of an example."""
    request, reading = RowRequest(None, 1, order, purpose=purpose), victim.read({"text": text})
    pool.put(request, reading, reading.ids[None], np.array([len(reading.ids)], dtype=np.int32))
    return request


def test_of_several_full_buckets_that_of_the_oldest_search_goes_first() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=1000, most=2, floor=1))
    put(pool, victim, ["a", "b"], order=5)
    put(pool, victim, ["a b", "b b"], order=3)
    put(pool, victim, ["a b c", "b b c"], order=4)
    assert pool.full() == Bucket(4)


@pytest.mark.parametrize("purpose", ["clean", "verdict"])
def test_single_rows_share_forwards_with_searches_of_their_length(purpose: Purpose) -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(floor=1))
    search, single = put(pool, victim, ["a b", "c d"]), put_single(pool, victim, "e f", purpose)
    assert set(drain(pool)) == {search, single}
    assert victim.forwards == [(3, 4)]
    assert single.answers[:, 1].tolist() == [9.0]


@pytest.mark.parametrize("purpose", ["clean", "verdict"])
def test_single_rows_are_fp32_in_a_bf16_pool(purpose: Purpose) -> None:
    victim = rough_victim()
    pool = Pool(victim, Shapes(floor=1), "bf16")
    single = put_single(pool, victim, "a", purpose)
    assert drain(pool) == [single]
    assert victim.precisions == ["fp32"]
    assert single.answers[0, 0] - single.answers[0, 1] == pytest.approx(0.1)


def test_single_rows_have_small_forwards_under_fixed_shapes() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=128, floor=4, fixed=True))
    put_single(pool, victim, "a b", "clean")
    put(pool, victim, ["a b"])
    drain(pool)
    assert sorted(victim.forwards) == [(4, 4), (32, 4)]


def test_a_verdict_waits_for_a_fuller_batch_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("robench.search.batching.monotonic", lambda: now)
    victim = make_victim()
    pool = Pool(victim, Shapes(floor=1))
    put_single(pool, victim, "a", "clean")
    put(pool, victim, ["a b c d"] * 5)
    now += LONGEST_WAIT_SECONDS / 2
    first = put_single(pool, victim, "a b", "verdict")
    second = put_single(pool, victim, "a b c", "verdict")
    assert pool.overdue() is None
    # Clean texts and searches may wait longer than verdicts.
    now += LONGEST_WAIT_SECONDS / 2 + 1
    assert pool.overdue() is None
    now += LONGEST_WAIT_SECONDS / 2
    assert pool.overdue() == first.bucket == Bucket(4)
    pool.forward(Bucket(4))
    assert pool.overdue() == second.bucket == Bucket(5)
    pool.forward(Bucket(5))
    assert pool.overdue() is None


def test_a_verdict_goes_before_the_rows_of_older_searches() -> None:
    victim = make_victim()
    pool = Pool(victim, Shapes(tokens=1000, most=4, floor=1))
    older = put(pool, victim, ["a b"] * 8, order=1)
    clean = put_single(pool, victim, "c d", "clean", order=8)
    verdict = put_single(pool, victim, "e f", "verdict", order=9)
    assert pool.forward(Bucket(4)) == [verdict]
    assert pool.forward(Bucket(4)) == []
    assert pool.forward(Bucket(4)) == [older, clean]


def test_a_piece_that_is_tried_alone_beside_a_bad_row_keeps_the_fixed_shape() -> None:
    """Another shape could change the last bits, and which rows meet a bad one is chance."""

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        return np.where(ids[:, 1:2] == victim.table.numbers["f"], np.nan, logits)

    victim = make_victim(twist=twist)
    pool = Pool(victim, Shapes(tokens=128, floor=4, fixed=True))
    good, bad = put(pool, victim, ["a b"] * 5), put(pool, victim, ["f b"])
    assert drain(pool) == [good, bad]
    assert (good.failure is None, bad.failure is None) == (True, False)
    assert victim.forwards == [(32, 4), (32, 4), (32, 4)]


def test_a_piece_that_is_tried_alone_for_want_of_memory_is_not_filled_up() -> None:
    """Memory that is too small for 32 rows is often enough for four."""

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if len(ids) > 8:
            raise MemoryError(f"{len(ids)} rows")
        return logits

    victim = make_victim(twist=twist)
    pool = Pool(victim, Shapes(tokens=128, floor=4, fixed=True))
    asked = [put(pool, victim, ["a b"]), put(pool, victim, ["c d"] * 5)]
    assert drain(pool) == asked
    assert [request.failure for request in asked] == [None, None]
    assert victim.forwards == [(32, 4), (4, 4), (5, 4)]


def test_an_answered_verdict_is_not_overdue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("robench.search.batching.monotonic", lambda: now)
    victim = make_victim()
    pool = Pool(victim, Shapes(floor=1))
    put_single(pool, victim, "a b", "verdict")
    drain(pool)
    now += 2 * LONGEST_WAIT_SECONDS
    assert pool.overdue() is None
