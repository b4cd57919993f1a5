"""Tests of the oracle: what it refuses, remembers and counts, and when a space is exhausted."""

from __future__ import annotations

import numpy as np
import pytest
from fake_victims import FakeTable, FakeVictim, make_job
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle_cases import JOB, WEIGHTS, choices, every_choice, make_oracle

from robench.models.probabilities import softmax
from robench.search.oracle import (
    MAX_REFUSALS,
    MAX_SUCCESSES,
    PooledOracle,
    SpaceExhausted,
    StopIgnored,
)
from robench.search.oracle_interface import BudgetSpent


def test_logits_and_probabilities_of_choices() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    assert oracle.logits(choices([0, 0, 0], [1, 0, 1])).tolist() == [[2, 0], [1, 5]]
    assert oracle.probs(choices([0, 0, 0]))[0, 0] == pytest.approx(1 / (1 + np.exp(-2)))


def test_repeats_count_as_asked_but_not_as_forwarded() -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS))
    first = oracle.logits(choices([1, 0, 0], [0, 0, 1], [1, 0, 0]))
    again = oracle.logits(choices([0, 0, 1], [2, 0, 0], [1, 0, 0]))
    assert (oracle.asked, oracle.forwarded, sizes) == (6, 3, [2, 1])
    assert (first[0] == first[2]).all()
    assert (again[[0, 2]] == first[[1, 0]]).all()


def test_a_known_clean_text_is_not_asked_again_and_counts_once_if_queried() -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS), clean=[7, 5])
    oracle.logits(choices([1, 0, 0]))
    # The search has not queried the clean text yet.
    assert (oracle.asked, oracle.forwarded, sizes) == (1, 1, [1])
    assert oracle.logits(choices([0, 0, 0], [2, 0, 0])).tolist()[0] == [7, 5]
    assert (oracle.asked, oracle.forwarded, sizes) == (3, 3, [1, 1])
    oracle.logits(choices([0, 0, 0]))
    assert (oracle.asked, oracle.forwarded, sizes) == (4, 3, [1, 1])
    assert oracle.prediction(choices([0, 0, 0])[0]) == 0


@pytest.mark.parametrize("clean", [None, [2, 0]])
def test_the_counts_are_the_same_whether_or_not_the_clean_text_is_known(
    clean: list[float] | None,
) -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS), clean=clean)
    oracle.logits(choices([0, 0, 0], [1, 0, 1], [0, 0, 0]))
    oracle.probs(choices([0, 0, 0], [2, 0, 1]))
    assert (oracle.asked, oracle.forwarded) == (5, 3)
    assert [choice.tolist() for choice in oracle.successes] == [[1, 0, 1], [2, 0, 1]]
    # They are the second row of each query.
    assert oracle.asked_at_successes == [2, 5]


Queries = list[list[tuple[int, int]]]
"""The rows of each query; each row is an option of the first and of the last word."""


def counts_after_each_query(
    clean: list[float] | None, queries: Queries, budget: int | None, left_out: bool
) -> list[tuple[int, int, bool]]:
    """Return (asked, forwarded, exhausted) after each query, up to the end of the search."""
    oracle, _ = make_oracle(FakeVictim({**WEIGHTS, "b": [8, 0]}), budget=budget, clean=clean)
    history = []
    for query in queries:
        try:
            if left_out:
                oracle.probs_without(choices([0, 0, 0])[0], np.array([1]))
            oracle.logits(choices(*[[first, 0, last] for first, last in query]))
        except BudgetSpent:
            pass
        except SpaceExhausted:
            history.append((oracle.asked, oracle.forwarded, oracle.exhausted))
            break
        history.append((oracle.asked, oracle.forwarded, oracle.exhausted))
    return history


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@example([[(0, 1), (2, 0)], [(1, 0), (1, 1), (2, 1)], [(0, 0)]], None, False)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.none() | st.integers(1, 8),
    st.booleans(),
)
def test_a_known_clean_text_changes_no_count_before_the_search_ends(
    queries: Queries, budget: int | None, left_out: bool
) -> None:
    """All counts are equal until one search ends, and then too if both end at that query.

    A known clean text may complete the space earlier, so its search may end earlier.
    """
    unknown = counts_after_each_query(None, queries, budget, left_out)
    known = counts_after_each_query([9.0, 0.0], queries, budget, left_out)
    assert all(forwarded <= asked for asked, forwarded, _ in known)
    assert len(known) <= len(unknown)
    last = len(known) - 1
    assert known[:last] == unknown[:last]
    if known[last] != unknown[last]:
        assert (known[last][2], unknown[last][2]) == (True, False)


def test_a_known_clean_text_counts_towards_the_space() -> None:
    oracle, sizes = make_oracle(FakeVictim({**WEIGHTS, "b": [9, 0]}), clean=[10, 0])
    with pytest.raises(SpaceExhausted):
        oracle.logits(every_choice(JOB)[1:])
    assert (oracle.exhausted, sizes) == (True, [5])


def test_a_space_of_indistinguishable_texts_is_exhausted_by_the_clean_text() -> None:
    job = make_job("a b", {"b": ["unheard-of", "unheard-of-too"]})
    oracle, sizes = make_oracle(FakeVictim({"a": [1, 0]}), job, clean=[1, 0])
    with pytest.raises(SpaceExhausted):
        oracle.logits(choices([0, 1]))
    assert (oracle.exhausted, sizes, oracle.asked, oracle.forwarded) == (True, [], 1, 1)


def test_answers_are_copies() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    oracle.logits(choices([1, 0, 0]))[:] = 99
    assert oracle.logits(choices([1, 0, 0])).tolist() == [[1, 2]]


def test_probes_without_a_word_are_asked_once_and_do_not_count_towards_the_space() -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS))
    original = JOB.space.original()
    probs = oracle.probs_without(original, np.array([0, 1, 2, 0]))
    assert probs[:, 0] == pytest.approx(1 / (1 + np.exp(-np.array([1, 1, 2, 1]))))
    assert sizes == [3]
    logits = oracle.logits_without(original, np.array([1]))
    assert softmax(logits)[0].tolist() == probs[1].tolist()
    oracle.probs_without(choices([1, 0, 0])[0], np.array([0]))
    assert (oracle.asked, oracle.forwarded) == (6, 4)
    assert not oracle.exhausted


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ([[0, 0, 2]], "outside the space"),
        ([[-1, 0, 0]], "outside the space"),
        ([[0, 1, 0]], "outside the space"),
        ([[0, 0]], "shape"),
        ([0, 0, 0], "shape"),
        ([[0.0, 0.0, 0.0]], "integers"),
        (np.empty((0, 3), dtype=np.int16), "without rows"),
    ],
)
def test_invalid_queries_are_refused(query: object, sentence: str) -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS))
    with pytest.raises(ValueError, match=sentence):
        oracle.logits(np.array(query))
    assert (oracle.asked, sizes) == (0, [])


@pytest.mark.parametrize("position", [-1, 3])
def test_leaving_out_an_invisible_word_is_refused(position: int) -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    with pytest.raises(ValueError, match="visible"):
        oracle.probs_without(JOB.space.original(), np.array([position]))


def test_the_budget_counts_repeats_and_ends_the_search_for_good() -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS), budget=3)
    oracle.logits(choices([1, 0, 0], [1, 0, 0]))
    for _ in range(2):
        with pytest.raises(
            BudgetSpent, match="budget of 3 rows was spent 1 rows into a query of 2"
        ):
            oracle.logits(choices([1, 0, 0], [2, 0, 0]))
    assert (oracle.asked, sizes) == (3, [1])


def test_a_query_beyond_the_budget_is_computed_up_to_the_budget() -> None:
    # Every text with c1 fools the victim.
    victim = FakeVictim({"c1": [0, 3]}, words=["a", "a1", "a2", "b", "c"], bias=(2, 0))
    for budget, found in ((2, []), (3, [[1, 0, 1]]), (4, [[1, 0, 1], [2, 0, 1]])):
        oracle, sizes = make_oracle(victim, budget=budget)
        with pytest.raises(BudgetSpent):
            oracle.logits(choices([1, 0, 0], [2, 0, 0], [1, 0, 1], [2, 0, 1], [0, 0, 1]))
        assert (oracle.asked, sizes) == (budget, [budget])
        assert [choice.tolist() for choice in oracle.successes] == found


def test_probes_outside_the_space_are_not_successes() -> None:
    # The victim is wrong on every text without "a".
    oracle, _ = make_oracle(
        FakeVictim({"a": [3, 0]}, words=["a1", "b", "c"], bias=(0, 1)), budget=2
    )
    with pytest.raises(BudgetSpent):
        oracle.probs_without(JOB.space.original(), np.array([0, 1, 2]))
    assert (oracle.asked, oracle.successes) == (2, [])


def test_every_success_says_how_many_rows_were_asked_until_then() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    oracle.charge(10)
    oracle.logits(choices([0, 0, 0], [0, 0, 0]))
    oracle.probs_without(JOB.space.original(), np.array([0, 1]))
    assert (oracle.asked, oracle.asked_at_successes) == (14, [])
    # A repeat of the clean text is row 15, and row 16 fools the victim.
    oracle.logits(choices([0, 0, 0], [1, 0, 1], [2, 0, 1]))
    assert (oracle.asked, oracle.asked_at_successes) == (17, [16, 17])
    oracle.logits(choices([2, 0, 1]))
    assert (oracle.asked, oracle.asked_at_successes) == (18, [16, 17])


def test_a_success_in_the_affordable_part_of_a_query_is_counted_at_its_row() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS), budget=2)
    with pytest.raises(BudgetSpent):
        oracle.logits(choices([0, 0, 0], [1, 0, 1], [2, 0, 1]))
    assert (oracle.asked, oracle.asked_at_successes) == (2, [2])


def test_the_unchanged_text_is_no_success_even_if_the_victim_is_wrong_on_it() -> None:
    oracle, _ = make_oracle(FakeVictim({}, words=["a", "b", "c"], bias=(0, 1)))
    oracle.logits(choices([0, 0, 0]))
    assert oracle.asked_at_successes == []


def test_successes_are_kept_in_order_without_the_unchanged_text() -> None:
    found = []
    # The victim is wrong on every text.
    oracle, _ = make_oracle(FakeVictim({}, words=["a", "a1", "a2", "b", "c", "c1"], bias=(0, 1)))
    for query in (
        choices([0, 0, 0]),
        choices([0, 0, 0], [2, 0, 0], [1, 0, 1]),
        choices([1, 0, 0]),
    ):
        oracle.logits(query)
        found.append([choice.tolist() for choice in oracle.successes])
    assert found == [[], [[2, 0, 0], [1, 0, 1]], [[2, 0, 0], [1, 0, 1], [1, 0, 0]]]


def test_a_bounded_number_of_distinct_successes_is_kept() -> None:
    names = [f"a{number}" for number in range(20)]
    # The last five options are all unknown words.
    oracle, _ = make_oracle(
        FakeVictim({}, words=["a", *names[:15]], bias=(0, 1)), make_job("a", {"a": names})
    )
    oracle.logits(np.array([[20], [19], [18], [3], [3]], dtype=np.int16))
    assert [int(choice[0]) for choice in oracle.successes] == [20, 3]
    oracle.logits(np.arange(20, dtype=np.int16)[:, None])
    assert [int(choice[0]) for choice in oracle.successes] == [20, 3, 1, 2, 4, 5, 6, 7]
    assert len(oracle.successes) == MAX_SUCCESSES


@pytest.mark.parametrize("charged", [False, True])
def test_a_search_that_ignores_its_end_is_stopped(charged: bool) -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS), budget=1)
    oracle.logits(choices([1, 0, 0]))
    heard = 0

    def ask_for_ever() -> None:
        nonlocal heard
        while True:
            try:
                oracle.charge(1) if charged and heard else oracle.logits(choices([2, 0, 0]))
            except BudgetSpent:
                heard += 1

    with pytest.raises(StopIgnored, match="BudgetSpent: the budget of 1 rows") as ended:
        ask_for_ever()
    assert isinstance(ended.value.reason, BudgetSpent)
    assert not isinstance(ended.value, Exception)
    assert (heard, oracle.asked, sizes) == (1 + MAX_REFUSALS, 1, [1])


def test_a_space_can_be_exhausted_by_the_last_row_of_the_budget() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS, bias=(100, 0)), budget=6)
    with pytest.raises(SpaceExhausted):
        oracle.logits(np.concatenate([every_choice(JOB), every_choice(JOB)]))
    assert oracle.exhausted


def test_a_budget_may_be_spent_to_the_last_row() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS), budget=2)
    oracle.logits(choices([1, 0, 0], [2, 0, 0]))
    assert oracle.asked == 2


def test_a_space_without_a_wrong_answer_is_exhausted_and_stays_so() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS, bias=(100, 0)))
    rows = every_choice(JOB)
    oracle.logits(rows[:-1])
    assert not oracle.exhausted
    for _ in range(2):
        with pytest.raises(SpaceExhausted):
            oracle.logits(rows[-1:])
    assert oracle.exhausted


def test_a_space_with_a_wrong_answer_is_never_exhausted() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    assert len(oracle.logits(every_choice(JOB))) == 6
    assert not oracle.exhausted


def test_a_closed_oracle_gives_no_answers() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    oracle.logits(choices([1, 0, 0]))
    oracle.close()
    with pytest.raises(BudgetSpent, match="has ended"):
        oracle.logits(choices([1, 0, 0]))
    assert (oracle.asked, oracle.forwarded) == (1, 1)


def test_after_a_failure_the_search_cannot_continue() -> None:
    victim = FakeVictim(WEIGHTS)
    candidates = victim.encoder_fields.candidates(JOB.words, JOB.space, JOB.example.fields)

    def ask(*_: object) -> np.ndarray:
        raise RuntimeError("gone")

    oracle = PooledOracle(JOB.space, candidates, 0, ask, None, aligned=True, longest=100)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="gone"):
            oracle.logits(choices([1, 0, 0]))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_asking_in_any_portions_gives_the_same_answers(data: st.DataObject) -> None:
    table = FakeTable(["a", "a1", "c1", "b"])
    victim = FakeVictim({"a": [3, 0], "a1": [0, 2]}, words=["c1", "b"], table=table)
    oracle, _ = make_oracle(victim)
    rows = np.array(
        data.draw(st.lists(st.sampled_from(every_choice(JOB).tolist()), min_size=1, max_size=20)),
        dtype=np.int16,
    )
    whole = make_oracle(victim)[0].logits(rows)
    cut = data.draw(st.integers(0, len(rows)))
    parts = [oracle.logits(part) for part in (rows[:cut], rows[cut:]) if len(part)]
    assert (np.concatenate(parts) == whole).all()
    assert oracle.asked == len(rows)
    assert oracle.forwarded <= oracle.classes.distinct


def test_the_prediction_of_a_queried_choice_is_remembered() -> None:
    oracle, sizes = make_oracle(FakeVictim(WEIGHTS))
    assert oracle.prediction(choices([1, 0, 0])[0]) is None
    oracle.logits(choices([0, 0, 0], [1, 0, 0]))
    oracle.probs_without(choices([0, 0, 1])[0], np.array([0]))
    asked = (oracle.asked, list(sizes))
    assert [oracle.prediction(row) for row in choices([0, 0, 0], [1, 0, 0], [0, 0, 1])] == [
        0,
        1,
        None,
    ]
    assert (oracle.asked, sizes) == asked


def test_a_choice_that_the_victim_failed_on_has_no_prediction() -> None:
    oracle, _ = make_oracle(FakeVictim(WEIGHTS))
    oracle.logits(choices([0, 0, 0]))

    def breaks(*_: object) -> np.ndarray:
        raise RuntimeError("too little memory")

    oracle._ask = breaks
    with pytest.raises(RuntimeError, match="too little memory"):
        oracle.logits(choices([1, 0, 0]))
    assert oracle.prediction(choices([1, 0, 0])[0]) is None
    assert oracle.prediction(choices([0, 0, 0])[0]) == 0
