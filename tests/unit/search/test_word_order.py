"""The parts of searches that go word by word: ranks, comparisons without scale, the walk."""

from __future__ import annotations

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job
from hypothesis import given
from hypothesis import strategies as st
from oracle_cases import make_oracle

from robench import BudgetSpent
from robench.search.word_order import change_in_order, largest_first, without_scale


def test_values_are_divided_by_their_largest_magnitude() -> None:
    assert without_scale(np.array([2.0, -4.0, 1.0])).tolist() == [0.5, -1.0, 0.25]
    assert without_scale(np.array([2.0, -4.0, 1.0]), 8.0).tolist() == [0.25, -0.5, 0.125]


def test_zeros_and_no_values_stay_what_they_are() -> None:
    assert without_scale(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert without_scale(np.empty(0)).tolist() == []
    assert without_scale(np.zeros(2), 0.0).tolist() == [0.0, 0.0]
    assert largest_first(np.empty(0)).tolist() == []


def test_the_first_of_equals_is_first_and_rounding_errors_do_not_decide() -> None:
    assert largest_first(np.array([1.0, 3.0, 3.0, 2.0])).tolist() == [1, 2, 3, 0]
    assert largest_first(np.array([1.0, 1.0 + 1e-8, 1.0 - 1e-8])).tolist() == [0, 1, 2]
    assert largest_first(np.array([-1.0, -3.0, -2.0])).tolist() == [0, 2, 1]


@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=30),
    st.sampled_from([1e-6, 0.1, 1.0, 3.0, 30.0, 100.0]),
)
def test_a_positive_factor_changes_no_rank(values: list[int], factor: float) -> None:
    exact = np.array(values, dtype=np.float32)
    scaled = exact * np.float32(factor)
    assert largest_first(scaled).tolist() == largest_first(exact).tolist()
    np.testing.assert_allclose(without_scale(scaled), without_scale(exact), atol=2e-6)


JOB = make_job("a b", {"a": ["a1", "a2"], "b": ["b1"]})


def victim(**margins: float) -> FakeVictim:
    return FakeVictim(
        {word: [margins.get(word, 0.0), 0.0] for word in ("a", "a1", "a2", "b", "b1")}
    )


def test_positions_are_changed_in_the_order_given() -> None:
    oracle, sizes = make_oracle(victim(a=2, a1=1, a2=1, b=3, b1=-1.5), JOB)
    # With b1 alone the margin is 0.5. Then a1 fools the victim, and so does a2.
    found = change_in_order(JOB.space, oracle, 0, [1, 0], 5.0)
    assert found is not None
    assert found.tolist() == [1, 1]
    assert sizes == [1, 2]


def test_the_first_of_two_equally_good_substitutes_is_kept() -> None:
    oracle, _ = make_oracle(victim(a=2, a1=1, a2=1, b=3, b1=2), JOB)
    assert change_in_order(JOB.space, oracle, 0, [0, 1], 5.0) is None
    assert oracle.prediction(np.array([1, 1], dtype=np.int16)) == 0
    assert oracle.prediction(np.array([2, 1], dtype=np.int16)) is None


def test_a_substitute_without_effect_is_not_kept() -> None:
    oracle, _ = make_oracle(victim(a=2, a1=2, a2=2, b=3, b1=2), JOB)
    assert change_in_order(JOB.space, oracle, 0, [0, 1], 5.0) is None
    assert oracle.prediction(np.array([0, 1], dtype=np.int16)) == 0
    assert oracle.prediction(np.array([1, 1], dtype=np.int16)) is None


def test_no_positions_and_a_spent_budget() -> None:
    oracle, _ = make_oracle(victim(a=2, b=3), JOB)
    assert change_in_order(JOB.space, oracle, 0, [], 5.0) is None
    oracle, _ = make_oracle(victim(a=2, b=3), JOB, budget=1)
    with pytest.raises(BudgetSpent):
        change_in_order(JOB.space, oracle, 0, [0, 1], 5.0)
