"""Intervals and tests over seeds and examples, by hand and by simulation."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from robench.records import statistics_seeds
from robench.records.statistics import compare, tango, wilson
from robench.records.statistics_seeds import RESAMPLES, Pair, Row, resample


def outcomes(robust: NDArray[np.bool_]) -> list[str]:
    """Return one string for each seed of (seeds, examples)."""
    return ["".join("H" if each else "F" for each in row) for row in robust]


def drawn(seed: int, rate: float, shape: tuple[int, int]) -> list[str]:
    return outcomes(np.random.default_rng(seed).random(shape) < rate)


def test_one_seed_has_the_interval_of_wilson() -> None:
    (row,) = resample([["WFHHP"]])
    assert row.rates == (0.6,)
    assert row.interval == wilson(0.6, 5)


@pytest.mark.parametrize("letter", ["H", "P", "F", "W"])
def test_outcomes_that_are_all_alike_have_an_interval_nevertheless(letter: str) -> None:
    (row,) = resample([[letter * 50] * 3])
    assert row.interval == wilson(row.mean, 50)
    assert row.interval[1] > row.interval[0]


def test_seeds_that_agree_have_the_interval_of_the_examples() -> None:
    """One string three times: only the examples vary, and their number is binomial."""
    (row,) = resample([["H" * 60 + "F" * 40] * 3])
    low, high = (100 * bound for bound in row.interval)
    assert low == pytest.approx(binom.ppf(0.025, 100, 0.6), abs=1)
    assert high == pytest.approx(binom.ppf(0.975, 100, 0.6), abs=1)


def test_seeds_that_differ_make_the_interval_wider() -> None:
    alike = [drawn(1, rate, (1, 400))[0] for rate in (0.6, 0.6, 0.6)]
    apart = [drawn(1, rate, (1, 400))[0] for rate in (0.4, 0.6, 0.8)]
    one, other = resample([alike, apart])
    assert other.interval[1] - other.interval[0] > 1.5 * (one.interval[1] - one.interval[0])
    assert one.variance_of_seeds == 0
    assert other.variance_of_seeds == pytest.approx(np.var(other.rates, ddof=1) / 3)


def test_the_repetitions_have_the_variance_of_seeds_and_of_examples() -> None:
    """With S - 1 draws of S seeds, the part of the seeds is neither too small nor too large."""
    rates = (0.3, 0.5, 0.7)
    (row,) = resample([[drawn(7, rate, (1, 2000))[0] for rate in rates]])
    right = np.array([[letter == "H" for letter in each] for each in row.outcomes])
    of_examples = right.mean(axis=0).var() / 2000
    expected = row.variance_of_seeds + of_examples
    assert row.means(1).var() == pytest.approx(expected, rel=0.1)


def test_all_rows_get_the_same_examples_and_their_own_seeds() -> None:
    table = drawn(3, 0.5, (3, 40))
    one, other = resample([table, table])
    assert np.array_equal(one.right, other.right)
    assert not np.array_equal(one.means(1), other.means(2))


def test_the_draws_are_fixed() -> None:
    """A page must be the same on every machine and with every numpy: these are its numbers."""
    (row,) = resample([drawn(0, 0.6, (3, 500))])
    again = resample([drawn(0, 0.6, (3, 500))])[0]
    assert row.interval == again.interval
    draws = statistics_seeds._kept_draws(3)
    assert draws[:3].tolist() == [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 2.0, 1.0]]
    assert draws.shape == (RESAMPLES, 3)
    assert set(draws.sum(axis=1)) == {3.0}


def test_many_examples_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [drawn(5, 0.4, (2, 30)), drawn(6, 0.7, (3, 30))]
    whole = resample(tables)
    monkeypatch.setattr(statistics_seeds, "_ENTRIES", 30 * 7)
    parts = resample(tables)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one.right, other.right)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(st.text("WFHP", min_size=n, max_size=n), min_size=1, max_size=4)
    )
)
@settings(max_examples=40, deadline=None)
def test_an_interval_holds_only_rates(letters: list[str]) -> None:
    (row,) = resample([letters])
    assert 0 <= row.interval[0] <= row.interval[1] <= 1


def test_rows_on_other_examples_are_not_drawn_together() -> None:
    with pytest.raises(ValueError, match="same examples"):
        resample([["HH", "HF"], ["HHH"]])
    with pytest.raises(ValueError, match="same examples"):
        resample([["", ""]])
    assert resample([]) == []


def pair(first: list[str], second: list[str]) -> Pair:
    return Pair(*resample([first, second]))


def test_one_seed_each_has_the_exact_test_and_interval() -> None:
    found = pair(["HHHHHHHFFF"], ["HHFFFFFHFW"])
    assert found.p_value == compare("HHHHHHHFFF", "HHFFFFFHFW").p_value
    assert found.interval == tango(5, 1, 10)
    assert found.difference == pytest.approx(0.4)
    assert found.standard_error == pytest.approx(sqrt((0.6 - 0.16) / 10 + 0.01))


def test_the_other_order_has_the_other_sign_exactly() -> None:
    first, second = drawn(1, 0.6, (3, 200)), drawn(2, 0.5, (2, 200))
    ours, theirs = pair(first, second), pair(second, first)
    assert theirs.difference == -ours.difference
    assert theirs.interval == (-ours.interval[1], -ours.interval[0])
    assert theirs.p_value == ours.p_value


def test_equal_rows_are_not_told_apart() -> None:
    table = drawn(1, 0.6, (3, 200))
    found = pair(table, table)
    assert found.p_value == 1
    assert found.interval[0] < 0 < found.interval[1]
    constant = pair(["HHHF"] * 2, ["HHHF"] * 2)
    assert constant.p_value == 1
    assert constant.interval == tango(0, 0, 4)


def test_three_examples_prove_nothing() -> None:
    """Every repetition shows the same difference, and the test is not misled by it."""
    found = pair(["HHH"] * 3, ["FFF"] * 3)
    assert found.p_value > 0.05
    assert found.interval == tango(3, 0, 3)


def test_few_seeds_that_differ_much_prove_little() -> None:
    """The examples alone would be certain of these 20 points: three seeds are not."""
    first = [drawn(1, rate, (1, 1000))[0] for rate in (0.4, 0.6, 0.8)]
    second = [drawn(2, rate, (1, 1000))[0] for rate in (0.2, 0.4, 0.6)]
    found = pair(first, second)
    assert found.p_value > 0.05
    steady = pair([first[1]] * 3, [second[1]] * 3)
    assert steady.p_value < 0.001


def simulated(rng: np.random.Generator, shift: NDArray[np.float64], examples: int) -> list[str]:
    """Return outcomes of seeds with these shifts, on examples of different difficulty."""
    difficulty = rng.normal(0, 1.5, examples)
    noise = rng.normal(0, 1, (len(shift), examples))
    return outcomes(difficulty + shift[:, np.newaxis] + noise > 0)


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "least"), [(0.05, 0.93), (0.15, 0.91)])
def test_the_interval_covers_the_true_rate(spread: float, least: float) -> None:
    """Three seeds that differ by 1 and by 3 points; the true rate is 50 %."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        (row,) = resample([simulated(rng, rng.normal(0, spread, 3), 400)])
        covered += row.interval[0] <= 0.5 <= row.interval[1]
    assert covered / 200 >= least


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.05, 0.4])
def test_equal_rows_of_three_seeds_are_seldom_told_apart(spread: float) -> None:
    """Seeds that differ by 1 point, and by 9 points, where the degrees of freedom matter."""
    rng = np.random.default_rng(5)
    alarms: Counter[bool] = Counter()
    for _ in range(300):
        shifts = rng.normal(0, spread, (2, 3))
        difficulty = rng.normal(0, 1.5, 300)
        tables = [
            outcomes(difficulty + each[:, np.newaxis] + rng.normal(0, 1, (3, 300)) > 0)
            for each in shifts
        ]
        alarms[Pair(*resample(tables)).p_value <= 0.05] += 1
    assert alarms[True] / 300 <= 0.07


def test_a_row_is_equal_by_its_outcomes() -> None:
    assert resample([["HF", "HH"]]) == [Row(("HF", "HH"), np.empty((0, 2)))]
