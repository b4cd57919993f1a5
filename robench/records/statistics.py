"""Rates, intervals and comparisons that follow from outcome letters.

All rates lie in [0, 1]. An ERROR is neither robust nor fooled. Outcomes that hold one therefore
have no rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from math import sqrt
from statistics import fmean, stdev

from scipy.optimize import brentq
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from robench._base.intervals import wilson as wilson
from robench.records.record import LETTERS, Counts

ROBUST = frozenset("HP")
"""Letters of the outcomes that count as robust: held, and held and proved."""


class BlockedCell(ValueError):
    """A rate was asked for, but some outcomes are errors."""


def clean_accuracy(counts: Counts) -> float:
    """Return the share of all n examples that are right without an attack: 1 - WRONG / n.

    Raises:
        BlockedCell: an example ended in an error.
    """
    _check_no_error(counts)
    return (counts.n - counts.wrong) / counts.n


def accuracy_under_attack(counts: Counts) -> float:
    """Return the share of all n examples that stay right: (HELD + HELD_PROVED) / n.

    Raises:
        BlockedCell: an example ended in an error.
    """
    _check_no_error(counts)
    return (counts.held + counts.held_proved) / counts.n


def attack_success_rate(counts: Counts) -> float | None:
    """Return the share of attacked examples that were fooled, or None if none was attacked.

    Attacked are the examples that are right without an attack.

    Raises:
        BlockedCell: an example ended in an error.
    """
    _check_no_error(counts)
    attacked = counts.fooled + counts.held + counts.held_proved
    return counts.fooled / attacked if attacked else None


def _check_no_error(counts: Counts) -> None:
    if counts.error:
        raise BlockedCell(f"{counts.error} of {counts.n} examples ended in an error")
    if not counts.n:
        raise ValueError("no examples")


@dataclass(frozen=True)
class Score:
    """A rate over one or several training seeds.

    With one seed, the interval is Wilson's for the sampling of test examples. It says nothing
    about other trainings. With several seeds, ``bounds`` covers both (``statistics_seeds``).
    Without bounds it is Wilson's at the mean rate, with n = the number of examples: the seeds are
    judged on the same examples, so pooling their counts would make it too narrow.

    Attributes:
        rates: one rate per seed, in [0, 1].
        examples: number of test examples, the same for each seed.
        bounds: 95 % interval of the mean over seeds and examples; None if it was not computed.
        outcomes: the outcomes that give ``rates``, one string per seed; none if they are not kept.
    """

    rates: tuple[float, ...]
    examples: int
    bounds: tuple[float, float] | None = None
    outcomes: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.rates)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds, or None with one seed."""
        return stdev(self.rates) if len(self.rates) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval for the mean (see the class)."""
        return self.bounds or wilson(self.mean, self.examples)


def right_without_attack(outcomes: str) -> str:
    """Return outcomes in which every example that is right without an attack counts as held."""
    return "".join(letter if letter in "WE" else "H" for letter in outcomes)


def worst_case(outcomes: Sequence[str]) -> str:
    """Return the outcomes of one victim under several attacks together, example by example.

    The letter of an example is the first that applies:

    - E if any attack ended in an error,
    - W if the clean text is wrong,
    - F if any attack fooled the victim,
    - P if every attack proved its whole space,
    - H otherwise.

    Args:
        outcomes: one string per attack, all over the same examples in the same order.

    Raises:
        ValueError: there is no string, the lengths differ, or the attacks disagree on which
            clean texts are wrong. In the last case they did not attack the same victim.
    """
    if not outcomes or len({len(each) for each in outcomes}) != 1:
        raise ValueError(
            "worst case needs outcomes of at least one attack, all over the same examples"
        )
    return "".join(_worst_letter(letters) for letters in zip(*outcomes, strict=True))


def _worst_letter(letters: tuple[str, ...]) -> str:
    if "E" in letters:
        return "E"
    if "W" in letters:
        if set(letters) != {"W"}:
            raise ValueError(
                "the attacks disagree on whether a clean text is classified wrongly, so they did "
                "not attack the same victim"
            )
        return "W"
    if "F" in letters:
        return "F"
    return "P" if set(letters) == {"P"} else "H"


@dataclass(frozen=True)
class PairedTest:
    """Result of a McNemar test on the same examples.

    Attributes:
        only_first: number of examples that are robust in the first outcomes only.
        only_second: number of examples that are robust in the second outcomes only.
        p_value: exact two-sided p-value.
    """

    only_first: int
    only_second: int
    p_value: float


def compare(first: str, second: str) -> PairedTest:
    """Compare two outcome strings over the same examples with the exact McNemar test.

    The test compares how many examples are robust (HELD or HELD_PROVED).

    Raises:
        ValueError: the lengths differ.
        BlockedCell: one of the strings holds an ERROR.
    """
    if "E" in first or "E" in second:
        raise BlockedCell("a paired comparison needs outcomes without errors")
    if len(first) != len(second):
        longer = "first" if len(first) > len(second) else "second"
        raise ValueError(f"the {longer} outcomes are longer, so they cannot be paired")
    ours, theirs = places(ROBUST, first), places(ROBUST, second)
    only_first, only_second = (ours & ~theirs).bit_count(), (theirs & ~ours).bit_count()
    return PairedTest(only_first, only_second, _exact_mcnemar(only_first, only_second))


@lru_cache(maxsize=4096)
def places(letters: str | frozenset[str], outcomes: str) -> int:
    """Return the examples with one of ``letters``, as the bits of a number.

    Sets of examples are compared by ``&`` and counted by ``bit_count``. A large board compares each
    outcome string with many others.
    """
    bits: dict[str, str | int | None] = {
        letter: "1" if letter in letters else "0" for letter in LETTERS.values()
    }
    return int(outcomes.translate(str.maketrans(bits)), 2)


@cache
def _exact_mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value, which depends on the discordant examples only.

    A large board tests many pairs, and their numbers repeat.
    """
    result = mcnemar([[0, only_first], [only_second, 0]], exact=True)
    return min(1.0, float(result.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's method, in the same order.

    If every null hypothesis holds, the chance that any corrected value is at most 0.05 is at most
    5 %, whatever the dependence of the tests (Holm 1979, Scandinavian Journal of Statistics 6,
    65-70).
    """
    if not p_values:
        return []
    return [float(value) for value in multipletests(p_values, method="holm")[1]]


def tango(
    only_first: float, only_second: float, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Tango's score interval for the difference of two rates on the same n examples.

    The interval holds the differences that the score test of paired proportions does not reject
    (Tango 1998, Statistics in Medicine 17, 891-908). At a difference of 0, this test is McNemar's
    without continuity correction. Fagerland, Lydersen and Laake (2014, Statistics in Medicine 33,
    2850-2875) compare the intervals for paired proportions and recommend it.

    Args:
        only_first: number of examples that only the first row has right. It may be a mean over
            seeds, as may ``only_second``.
        only_second: number of examples that only the second row has right.
        n: number of examples.
        confidence: level of the interval.

    Returns:
        The bounds of (only_first - only_second) / n, each in [-1, 1].

    Raises:
        ValueError: the numbers do not fit n examples.
    """
    if min(only_first, only_second) < 0 or n < 1 or only_first + only_second > n:
        raise ValueError(f"{only_first} and {only_second} do not fit {n} examples")
    z = float(norm.ppf((1 + confidence) / 2))
    estimate = (only_first - only_second) / n

    def score(difference: float, sign: int) -> float:
        # The smaller probability of the two discordant outcomes, at its maximum likelihood under
        # this difference: the larger root of 2 n q^2 + b q - c = 0.
        b = (2 * n - only_first + only_second) * difference - only_first - only_second
        c = only_second * difference * (1 - difference)
        q = max(0.0, (sqrt(max(0.0, b * b + 8 * n * c)) - b) / (4 * n))
        deviation = sqrt(max(0.0, n * (2 * q + difference * (1 - difference))))
        return sign * (only_first - only_second - n * difference) - z * deviation

    # At -1 and at 1 the deviation is 0 and the score is positive. Where the rows never differ, it
    # is 0 at the estimate as well, so the search starts just beside the estimate.
    beside = 1e-9
    low = high = estimate
    if estimate > -1:
        low = float(brentq(score, -1, estimate - beside, args=(1,)))
    if estimate < 1:
        high = float(brentq(score, estimate + beside, 1, args=(-1,)))
    return low, high
