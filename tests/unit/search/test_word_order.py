"""The parts of searches that go word by word: ranks, comparisons without scale, the walk."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job
from hypothesis import given
from hypothesis import strategies as st
from oracle_cases import make_oracle

from robench import BudgetSpent, Choice
from robench.search.word_order import change_in_order, descend, largest_first, without_scale


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


def choice(*options: int) -> Choice:
    return np.array(options, dtype=np.int16)


class Pairs:
    """Margins of whole texts of ``JOB``, ``[option of a][option of b]``, and what was asked."""

    def __init__(self, margins: list[list[float]], scale: float = 1.0) -> None:
        self.margins, self.asked = np.array(margins) * scale, list[list[int]]()

    def logits(self, choices: np.ndarray) -> np.ndarray:
        self.asked += choices.tolist()
        margins = self.margins[choices[:, 0], choices[:, 1]]
        return np.stack([margins, np.zeros_like(margins)], 1).astype(np.float32)


def test_the_descent_begins_with_the_text_given_and_may_restore_a_word() -> None:
    """From "a2 b1" (margin 4) it goes back to "a", and then stops at "a b1" (margin 3)."""
    oracle, sizes = make_oracle(victim(a=1, a1=5, a2=2, b=3, b1=2), JOB)
    assert descend(JOB.space, oracle, 0, choice(2, 1), [0, 1]) is None
    assert sizes == [3, 1]
    # Of "b" only "a b" was new. The second pass over "a" has no new text.
    assert oracle.prediction(choice(0, 0)) == 0
    assert oracle.prediction(choice(1, 0)) is None


def test_the_descent_goes_on_as_long_as_something_improves() -> None:
    """Together a1 and b1 fool the victim, and a2 is better than a1 only while b stands."""
    oracle = Pairs([[4, 3], [3, -1], [2, 1]])
    found = descend(JOB.space, cast(Any, oracle), 0, JOB.space.original(), [0, 1])
    assert found is not None
    assert found.tolist() == [1, 1]
    assert oracle.asked == [[0, 0], [1, 0], [2, 0], [2, 0], [2, 1], [0, 1], [1, 1], [2, 1]]


@pytest.mark.parametrize("scale", [1e-6, 0.1, 3.0, 30.0, 100.0])
def test_the_scale_of_the_logits_changes_no_step_of_the_descent(scale: float) -> None:
    margins = [[2.3 + 3.7, 2.3 + 2.9], [1.1 + 3.7, 1.1 + 2.9], [1.1 + 3.7, 1.1 + 2.9 + 1e-7]]
    plain, scaled = Pairs(margins), Pairs(margins, scale)
    for oracle in (plain, scaled):
        found = descend(JOB.space, cast(Any, oracle), 0, JOB.space.original(), [0, 1])
        assert found is None
    assert scaled.asked == plain.asked
    # The first of two equally good options is kept.
    assert plain.asked[3:5] == [[1, 0], [1, 1]]


def test_a_descent_without_positions_or_budget() -> None:
    oracle, sizes = make_oracle(victim(a=2, b=3), JOB)
    assert descend(JOB.space, oracle, 0, JOB.space.original(), []) is None
    assert sizes == []
    oracle, _ = make_oracle(victim(a=2, b=3), JOB, budget=1)
    with pytest.raises(BudgetSpent):
        descend(JOB.space, oracle, 0, JOB.space.original(), [0, 1])
