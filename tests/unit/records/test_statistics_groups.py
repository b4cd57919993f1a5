"""Groups of rows that are not told apart, and the smallest difference that is."""

from __future__ import annotations

from itertools import combinations
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from robench.records.statistics_groups import LETTERS, LEVEL, POWER, detectable, group_letters

ROWS = ["rift", "ascc", "mixout", "standard"]


@pytest.mark.parametrize(
    ("told_apart", "letters"),
    [
        ([], "a a a a"),
        ([("rift", "standard")], "a ab ab b"),
        ([("rift", "mixout"), ("rift", "standard")], "a ab b b"),
        ([("rift", "mixout"), ("rift", "standard"), ("ascc", "standard")], "a ab bc c"),
        (list(combinations(ROWS, 2)), "a b c d"),
        # Only the two in the middle differ, for example because the others are less certain.
        ([("ascc", "mixout")], "ab a b ab"),
        # The best row differs from nothing but the second one.
        ([("rift", "ascc")], "a b ab ab"),
    ],
)
def test_letters_by_hand(told_apart: list[tuple[str, str]], letters: str) -> None:
    assert group_letters(ROWS, told_apart) == dict(zip(ROWS, letters.split(), strict=True))


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.data())))
def test_two_rows_share_a_letter_exactly_if_nothing_tells_them_apart(
    drawn: tuple[int, st.DataObject],
) -> None:
    number, data = drawn
    rows = [f"row{each}" for each in range(number)]
    pairs = list(combinations(rows, 2))
    apart = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    letters = group_letters(rows, apart)
    assert letters is not None
    assert list(letters) == rows
    assert letters[rows[0]].startswith("a")
    for one, other in pairs:
        assert bool(set(letters[one]) & set(letters[other])) == ((one, other) not in apart)
    # No group is inside another one.
    groups = [{row for row in rows if letter in letters[row]} for letter in LETTERS[:number]]
    assert not any(one < other for one in groups if one for other in groups)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = [("rift", "standard"), ("ascc", "standard"), ("rift", "mixout")]
    assert group_letters(ROWS, pairs) == group_letters(ROWS, reversed(pairs))


def test_rows_that_need_too_many_letters_have_none() -> None:
    rows = [f"row{number}" for number in range(len(LETTERS) + 1)]
    assert group_letters(rows, combinations(rows, 2)) is None
    assert group_letters(rows[:-1], combinations(rows[:-1], 2)) is not None


def test_what_can_be_told_by_hand() -> None:
    """1.960 and 0.842 standard errors for one test; 2.394 for the first of three."""
    assert detectable([0.01], [inf]) == pytest.approx(0.01 * (1.960 + 0.842), rel=1e-3)
    assert detectable([0.01] * 3, [inf] * 3) == pytest.approx(0.01 * (2.394 + 0.842), rel=1e-3)


def test_the_pair_in_the_middle_counts() -> None:
    three = detectable([0.3, 0.01, 0.02], [inf] * 3)
    assert three == pytest.approx(0.02 * (2.394 + 0.842), rel=1e-3)
    # 2.2414 for the first of two tests; the mean of 0.01 and 0.02.
    assert detectable([0.01, 0.02], [inf] * 2) == pytest.approx(0.015 * (2.2414 + 0.8416), rel=1e-3)
    # A smaller error with fewer degrees of freedom may show less than a larger one.
    few = detectable([0.01, 0.02, 0.02], [2.0, inf, inf])
    assert few == pytest.approx(0.02 * (2.394 + 0.842), rel=1e-3)


@pytest.mark.parametrize("degrees", [1.5, 3.0, 6.0, 14.5, 283.0])
@pytest.mark.parametrize("tests", [1, 136])
def test_a_test_shows_the_difference_as_often_as_is_said(degrees: float, tests: int) -> None:
    """Draw Student's t around the difference, and count how often the corrected test shows it.

    The standard deviation of the share of 200,000 draws is 0.0009.
    """
    draw = np.random.default_rng(0)
    shift = detectable([1.0] * tests, [degrees] * tests)
    errors = np.sqrt(draw.chisquare(degrees, 200_000) / degrees)
    values = (draw.standard_normal(200_000) + shift) / errors
    shown = np.mean(values > student.isf(LEVEL / (2 * tests), degrees))
    assert shown == pytest.approx(POWER, abs=0.005)


def test_hardly_any_freedom_and_many_tests_show_nothing() -> None:
    assert detectable([0.001] * 4950, [1.0] * 4950) > 1
