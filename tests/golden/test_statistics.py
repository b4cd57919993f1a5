"""Statistics compared with values worked out by hand or printed in the literature."""

from __future__ import annotations

import math
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from robench.records.record import count
from robench.records.statistics import (
    BlockedCell,
    PairedTest,
    Score,
    accuracy_under_attack,
    attack_success_rate,
    clean_accuracy,
    compare,
    holm,
    places,
    tango,
    wilson,
    worst_case,
)

outcome_letters = st.text("WFHP", min_size=1, max_size=40)


def test_rates_by_hand() -> None:
    # 10 examples: 2 wrong, 3 fooled, 4 held, 1 proved.
    counts = count("WWFFFHHHHP")
    assert clean_accuracy(counts) == pytest.approx(0.8)
    assert accuracy_under_attack(counts) == pytest.approx(0.5)
    assert attack_success_rate(counts) == pytest.approx(3 / 8)


def test_without_attacked_examples_there_is_no_success_rate() -> None:
    assert attack_success_rate(count("WW")) is None
    assert accuracy_under_attack(count("WW")) == 0
    assert clean_accuracy(count("WW")) == 0


@pytest.mark.parametrize("rate", [clean_accuracy, accuracy_under_attack, attack_success_rate])
def test_an_error_blocks_every_rate(rate: object) -> None:
    with pytest.raises(BlockedCell, match="1 of 3"):
        rate(count("HHE"))  # type: ignore[operator]
    with pytest.raises(ValueError, match="no examples"):
        rate(count(""))  # type: ignore[operator]


def test_wilson_by_hand() -> None:
    """Check the interval for p = 0.5, n = 1000, z = 1.959964.

    Its centre is 0.5 and its half-width is z sqrt(p q / n + z^2 / 4 n^2) / (1 + z^2 / n).
    """
    z = 1.959963984540054
    half = z * math.sqrt(0.25 / 1000 + z**2 / (4 * 1000**2)) / (1 + z**2 / 1000)
    low, high = wilson(0.5, 1000)
    assert low == pytest.approx(0.5 - half)
    assert high == pytest.approx(0.5 + half)
    assert (round(low, 4), round(high, 4)) == (0.4691, 0.5309)


def test_wilson_agrees_with_printed_intervals() -> None:
    """Compare with Newcombe 1998, table I, method 3."""
    for successes, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert [round(each, 4) for each in wilson(successes / n, n)] == [low, high]


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_wilson_interval_lies_in_0_to_1_and_contains_the_rate(successes: int, n: int) -> None:
    rate = min(successes, n) / n
    low, high = wilson(rate, n)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1


def test_the_interval_of_several_seeds_is_that_of_their_mean() -> None:
    score = Score((0.4, 0.5, 0.6), 100)
    assert score.mean == pytest.approx(0.5)
    # The deviations are -0.1, 0 and 0.1. Their squares add up to 0.02, and 0.02 / (3 - 1) = 0.01.
    assert score.spread == pytest.approx(0.1)
    assert score.interval == wilson(0.5, 100)
    assert Score((0.4,), 100).spread is None


def test_worst_case_by_hand() -> None:
    # The examples in order: wrong, fooled by the 1st attack, by the 2nd, by both, held, proved by
    # one attack, proved by both.
    assert worst_case(["WFHFHPP", "WHFFHHP"]) == "WFFFHHP"
    assert worst_case(["WFH"]) == "WFH"


def test_an_error_in_any_attack_makes_the_worst_case_an_error() -> None:
    assert worst_case(["WFE", "WEF"]) == "WEE"
    assert worst_case(["E", "W"]) == "E"


def test_worst_case_refuses_different_victims_and_different_examples() -> None:
    with pytest.raises(ValueError, match="disagree"):
        worst_case(["W", "H"])
    with pytest.raises(ValueError, match="same examples"):
        worst_case(["WH", "W"])
    with pytest.raises(ValueError, match="at least one"):
        worst_case([])


@given(
    st.lists(
        st.sampled_from(["WW", "FF", "FH", "HF", "HH", "PP", "PH", "FP"]), min_size=1, max_size=40
    )
)
def test_the_worst_case_is_not_above_a_single_attack(pairs: list[str]) -> None:
    first, second = ("".join(pair[i] for pair in pairs) for i in (0, 1))
    worst = accuracy_under_attack(count(worst_case([first, second])))
    assert worst <= min(accuracy_under_attack(count(first)), accuracy_under_attack(count(second)))
    assert worst_case([first, second]) == worst_case([second, first])


@given(outcome_letters)
def test_clean_accuracy_is_not_below_accuracy_under_attack(outcomes: str) -> None:
    counts = count(outcomes)
    assert clean_accuracy(counts) >= accuracy_under_attack(counts)


def test_mcnemar_by_hand() -> None:
    """Check 6 discordant pairs, 5 to 1: two-sided exact p = 2 (C(6,0) + C(6,1)) / 2^6 = 14/64."""
    first = "HHHHH" + "F" + "HHFFWW" + "P"
    second = "FFFWF" + "H" + "HPFFWW" + "H"
    there, back = compare(first, second), compare(second, first)
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first) == (5, 1)
    assert there.p_value == back.p_value == pytest.approx(14 / 64)


def test_mcnemar_without_discordant_pairs() -> None:
    assert compare("HFW", "PWF") == PairedTest(0, 0, 1.0)


@given(st.text("WFHPE"), st.sampled_from(["F", "HP", "WE", ""]))
def test_places_are_the_positions_of_the_letters(outcomes: str, letters: str) -> None:
    found = places(letters, "W" + outcomes)
    marks = [letter in letters for letter in "W" + outcomes]
    assert found == int("".join(str(int(mark)) for mark in marks), 2)
    assert found.bit_count() == sum(marks)


def test_mcnemar_refuses_errors_and_different_lengths() -> None:
    with pytest.raises(BlockedCell):
        compare("HE", "HH")
    with pytest.raises(ValueError, match=r"longer|shorter"):
        compare("HH", "H")


@pytest.mark.parametrize(
    ("only_first", "only_second", "n", "expected"),
    [
        # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, chapter 8:
        # airway hyper-responsiveness (Bentur et al. 2009) and complete response (Cavo et al. 2012).
        (1, 7, 21, (-0.517, -0.026)),
        (6, 16, 161, (-0.1240, -0.0054)),
    ],
)
def test_published_score_intervals_for_paired_proportions(
    only_first: int, only_second: int, n: int, expected: tuple[float, float]
) -> None:
    assert tango(only_first, only_second, n) == pytest.approx(expected, abs=0.0005)


def maximum_likelihood_score(b: float, c: float, n: int, difference: float) -> float:
    """Return the squared score statistic with a numeric maximum of the likelihood.

    It does not use the closed form. The probabilities of the four outcomes are q + difference, q
    and the rest, and q maximises the trinomial likelihood.
    """
    lowest, highest = max(0.0, -difference), (1 - difference) / 2

    def negative(q: float) -> float:
        both = 1 - 2 * q - difference
        terms = ((b, q + difference), (c, q), (n - b - c, both))
        return -sum(count * log(max(p, 1e-300)) for count, p in terms if count)

    q = minimize_scalar(
        negative, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-13}
    ).x
    variance = (2 * q + difference - difference**2) / n
    return float(((b - c) / n - difference) ** 2 / variance)


@pytest.mark.parametrize(
    ("b", "c", "n"), [(5, 1, 10), (1, 5, 10), (3, 0, 20), (40, 20, 160), (2.5, 1.5, 12)]
)
def test_the_bounds_are_where_an_independent_score_test_just_rejects(
    b: float, c: float, n: int
) -> None:
    low, high = tango(b, c, n)
    assert low < (b - c) / n < high
    for bound in (low, high):
        assert maximum_likelihood_score(b, c, n, bound) == pytest.approx(1.959964**2, rel=1e-3)


def test_score_intervals_at_the_borders() -> None:
    """Without discordant examples the bounds are z^2 / (n + z^2) from 0."""
    z2 = 1.959964**2
    assert tango(0, 0, 10) == pytest.approx((-z2 / (10 + z2), z2 / (10 + z2)), abs=1e-6)
    assert tango(10, 0, 10)[1] == 1.0
    assert tango(0, 10, 10)[0] == -1.0
    assert tango(3, 8, 40) == pytest.approx(
        [-bound for bound in reversed(tango(8, 3, 40))], abs=1e-9
    )
    for numbers in ((-1, 2, 10), (6, 5, 10), (0, 0, 0)):
        with pytest.raises(ValueError, match="do not fit"):
            tango(*numbers)


def test_holm_by_hand() -> None:
    """The smallest of four times 4, the next times 3; no value is below an earlier one."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([0.7, 0.9, 0.8]) == [1.0, 1.0, 1.0]
    assert (holm([]), holm([0.2])) == ([], [0.2])
