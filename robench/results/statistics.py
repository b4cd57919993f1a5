"""Rates, intervals, comparisons: everything that follows from outcome letters.

All rates lie in [0, 1]. An ERROR is neither robust nor fooled, so no rate under attack exists while there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from robench.results.record import Counts

ROBUST = frozenset("HP")


class BlockedCell(ValueError):
    """A rate was asked of outcomes that hold an ERROR."""


def clean_accuracy(counts: Counts) -> float:
    """Share of all n examples that the victim classifies rightly when nobody attacks: 1 - WRONG / n."""
    _no_error(counts)
    return (counts.n - counts.wrong) / counts.n


def accuracy_under_attack(counts: Counts) -> float:
    """Share of all n examples that are right and stay right: (HELD + HELD_PROVED) / n."""
    _no_error(counts)
    return (counts.held + counts.held_proved) / counts.n


def attack_success_rate(counts: Counts) -> float | None:
    """Share of the attacked examples (those right without attack) that were fooled; None when none was attacked."""
    _no_error(counts)
    attacked = counts.fooled + counts.held + counts.held_proved
    return counts.fooled / attacked if attacked else None


def _no_error(counts: Counts) -> None:
    if counts.error:
        raise BlockedCell(f"{counts.error} of {counts.n} examples ended in an error")
    if not counts.n:
        raise ValueError("no examples")


def wilson(rate: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion ``rate`` seen on ``n`` examples."""
    low, high = proportion_confint(rate * n, n, alpha=1 - confidence, method="wilson")
    # At 0 and 1 the interval touches the border, where rounding may leave -1e-18 or 1 + 1e-16.
    return max(0.0, float(low)), min(1.0, float(high))


@dataclass(frozen=True)
class Score:
    """A rate over one or several training seeds.

    The interval is for the sampling of test examples. Seeds are judged on the same examples, so their answers are not independent, and pooling
    the counts would make the interval too narrow, by up to sqrt(seeds). It is therefore Wilson's at the mean rate with n = the number of
    examples: right where the seeds agree example by example, too wide otherwise. It says nothing about other trainings, and a mean over few seeds may
    well miss what they would give on average: how much training varies is said apart, by ``spread``.

    Attributes:
        rates: one per seed, in [0, 1].
        examples: number of test examples, the same for each seed.
    """

    rates: tuple[float, ...]
    examples: int

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.rates)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds; None with one seed."""
        return stdev(self.rates) if len(self.rates) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval for the mean, as the class says."""
        return wilson(self.mean, self.examples)


def worst_case(outcomes: Sequence[str]) -> str:
    """Outcomes of one victim under several attacks together, example by example.

    E where any attack ended in an error; else W where the clean text is wrong; else F where any attack fooled it; P where every attack proved its
    whole space; H otherwise.

    Args:
        outcomes: one string per attack, each over the same examples in the same order.

    Raises:
        ValueError: none given, lengths differ, or the attacks disagree on which clean texts are wrong (then it was not one victim).
    """
    if not outcomes or len({len(each) for each in outcomes}) != 1:
        raise ValueError(
            "worst case needs outcomes of at least one attack, all over the same examples"
        )
    return "".join(_worst(letters) for letters in zip(*outcomes, strict=True))


def _worst(letters: tuple[str, ...]) -> str:
    if "E" in letters:
        return "E"
    if "W" in letters:
        if set(letters) != {"W"}:
            raise ValueError(
                "the attacks disagree on whether a clean text is classified wrongly, so they did not attack one victim"
            )
        return "W"
    if "F" in letters:
        return "F"
    return "P" if set(letters) == {"P"} else "H"


@dataclass(frozen=True)
class Paired:
    """Two sets of outcomes on the same examples: how many were robust in one only, and the exact two-sided McNemar p-value."""

    only_first: int
    only_second: int
    p_value: float


def compare(first: str, second: str) -> Paired:
    """Exact McNemar test of "robust" (HELD or HELD_PROVED) between two outcome strings over the same examples.

    Raises:
        ValueError: lengths differ. BlockedCell: one holds an ERROR.
    """
    if "E" in first or "E" in second:
        raise BlockedCell("a paired comparison needs outcomes without errors")
    pairs = [(a in ROBUST, b in ROBUST) for a, b in zip(first, second, strict=True)]
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    result = mcnemar([[both, only_first], [only_second, neither]], exact=True)
    return Paired(only_first, only_second, min(1.0, float(result.pvalue)))
