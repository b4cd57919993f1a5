"""Intervals and tests over training seeds and test examples at once.

Another study would train other victims and draw other examples. The hierarchical bootstrap repeats
both choices: it draws seeds, and it draws examples. All seeds and all rows get the same examples,
because they were judged on the same ones (the bootstrap of crossed samples, Owen 2007, Annals of
Applied Statistics 1, 386-411).

From S seeds it draws S - 1. With S draws, the variance of the mean over few seeds would come out
too small by (S - 1) / S (Hesterberg 2015, The American Statistician 69, 371-386). The seeds of two
rows are drawn separately, because their trainings are separate.

The draws are fixed, so the same outcomes always give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import inf, sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from robench.records.statistics import ROBUST, PairedTest, compare, tango, wilson

RESAMPLES = 1999
"""Number of repetitions. The 50th smallest and the 50th largest result bound 95 %."""
_OUTSIDE = 49
_ENTRIES = 2_000_000
"""Draws that are held at a time."""
_EXAMPLES_STREAM, _FIRST_STREAM, _SECOND_STREAM = 0, 1, 2
_ROBUST_CODES = [ord(letter) for letter in ROBUST]


@dataclass(frozen=True)
class Row:
    """Outcomes of one row by one measure, and how they come out in each repetition.

    Attributes:
        outcomes: one string for each seed, all over the same examples, without errors.
        right: number of robust examples among the drawn ones, (RESAMPLES, seeds).
    """

    outcomes: tuple[str, ...]
    right: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.outcomes[0])

    @cached_property
    def rates(self) -> tuple[float, ...]:
        """Share of robust examples, for each seed."""
        return tuple(sum(map(letters.count, ROBUST)) / self.examples for letters in self.outcomes)

    @property
    def mean(self) -> float:
        """Mean of ``rates``."""
        return fmean(self.rates)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``mean`` over seeds and examples.

        With one seed it is Wilson's, which is about the examples only. It is Wilson's as well
        where all outcomes are alike, because then no repetition differs from another one.
        """
        if len(self.outcomes) == 1 or set(self.rates) in ({0.0}, {1.0}):
            return wilson(self.mean, self.examples)
        return _bounds(self.means(_FIRST_STREAM))

    @property
    def variance_of_seeds(self) -> float:
        """Part of the variance of ``mean`` that comes from the seeds; 0 for one seed."""
        seeds = len(self.rates)
        return float(np.var(self.rates, ddof=1)) / seeds if seeds > 1 else 0.0

    def means(self, stream: int) -> NDArray[np.float64]:
        """Return the mean of each repetition, (RESAMPLES,).

        Args:
            stream: number of the draws of seeds.
        """
        seeds = len(self.outcomes)
        drawn = max(1, seeds - 1)
        counts = (self.right * _drawn_seeds(seeds, stream)).sum(axis=1)
        means: NDArray[np.float64] = counts / (drawn * self.examples)
        return means


def resample(tables: Sequence[Sequence[str]]) -> list[Row]:
    """Return rows that were drawn together, in the order of ``tables``.

    Args:
        tables: outcomes of each row, one string for each seed. All are over the same examples.

    Raises:
        ValueError: the strings are over different numbers of examples, or there are no examples.
    """
    if not tables:
        return []
    letters = [each for outcomes in tables for each in outcomes]
    if len({len(each) for each in letters}) != 1 or not letters[0]:
        raise ValueError("rows are drawn together only over the same examples")
    if all(len(outcomes) == 1 for outcomes in tables):
        # One seed each: the intervals and tests of such rows are exact and need no draws.
        return [Row(tuple(each), np.empty((0, 1))) for each in tables]
    codes = np.frombuffer("".join(letters).encode("ascii"), np.uint8)
    robust = np.isin(codes, _ROBUST_CODES).reshape(len(letters), -1)
    # Counts below 2^24 are exact in float32, so the result does not depend on their order.
    columns = robust.T.astype(np.float32)
    right = np.concatenate([drawn @ columns for drawn in _drawn_examples(robust.shape[1])])
    ends = np.cumsum([len(outcomes) for outcomes in tables])
    parts = np.split(right.astype(np.float64), ends[:-1], axis=1)
    return [Row(tuple(each), part) for each, part in zip(tables, parts, strict=True)]


@dataclass(frozen=True)
class Pair:
    """Two rows of one ``resample``, compared.

    Attributes:
        first: one row.
        second: the other row. It may have other seeds, and another number of them.
    """

    first: Row
    second: Row

    @property
    def difference(self) -> float:
        """Mean of the first row minus that of the second, in [-1, 1]."""
        return self.first.mean - self.second.mean

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``difference`` over seeds and examples.

        Where each row has one seed, it is Tango's, which is about the examples only. It is Tango's
        as well where no repetition differs from another one.
        """
        if self._single is not None:
            return tango(self._single.only_first, self._single.only_second, self.first.examples)
        low, high = _bounds(self._differences)
        if low == high:
            gain = max(0.0, self.difference) * self.first.examples
            loss = max(0.0, -self.difference) * self.first.examples
            return tango(gain, loss, self.first.examples)
        return low, high

    @cached_property
    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the two rows are equally robust.

        Where each row has one seed, it is that of the exact McNemar test. Otherwise it is that of
        Student's t with ``standard_error`` and ``degrees_of_freedom``, so that few seeds which
        differ much prove little.
        """
        if self._single is not None:
            return self._single.p_value
        if self.difference == 0:
            return 1.0
        statistic = abs(self.difference) / self.standard_error
        return float(2 * student.sf(statistic, self.degrees_of_freedom))

    @cached_property
    def standard_error(self) -> float:
        """Standard error of ``difference``.

        It counts half an example more in each of the two discordant cells, after Agresti and Min
        (2005, Statistics in Medicine 24, 729-740). Without it, rows that hardly ever differ would
        have an error of almost 0.
        """
        examples = self.first.examples
        if self._single is not None:
            differing = self._single.only_first + self._single.only_second
            variance = (differing / examples - self.difference**2) / examples
        else:
            variance = float(np.var(self._differences, ddof=1))
        return sqrt(max(0.0, variance) + 1 / examples**2)

    @cached_property
    def _single(self) -> PairedTest | None:
        """The exact test; None where a row has several seeds."""
        if len(self.first.outcomes) > 1 or len(self.second.outcomes) > 1:
            return None
        return compare(self.first.outcomes[0], self.second.outcomes[0])

    @cached_property
    def _differences(self) -> NDArray[np.float64]:
        # The higher row has the first draws, so that the order of the two only changes the sign.
        if self._first_is_higher:
            return self.first.means(_FIRST_STREAM) - self.second.means(_SECOND_STREAM)
        return self.first.means(_SECOND_STREAM) - self.second.means(_FIRST_STREAM)

    @property
    def _first_is_higher(self) -> bool:
        ours, theirs = ((-row.mean, row.outcomes) for row in (self.first, self.second))
        return ours <= theirs

    @cached_property
    def degrees_of_freedom(self) -> float:
        """Degrees of freedom of the test; infinite where each row has one seed.

        They are Satterthwaite's for the parts of the seeds and of the examples.
        """
        if self._single is not None:
            return inf
        rows = (self.first, self.second)
        whole = self.standard_error**2
        of_examples = max(0.0, whole - sum(row.variance_of_seeds for row in rows))
        squares = sum(
            row.variance_of_seeds**2 / (len(row.rates) - 1) for row in rows if len(row.rates) > 1
        )
        squares += of_examples**2 / max(1, self.first.examples - 1)
        return whole**2 / squares


def _bounds(results: NDArray[np.float64]) -> tuple[float, float]:
    ordered = np.sort(results)
    return float(ordered[_OUTSIDE]), float(ordered[-1 - _OUTSIDE])


def _raw(stream: int) -> np.random.PCG64:
    """Return a source of 64-bit numbers that are the same in every version of numpy."""
    return np.random.PCG64([stream, RESAMPLES])


def _counts(draws: NDArray[np.uint64], kinds: int) -> NDArray[np.float32]:
    """Return how often each of ``kinds`` was drawn in each line of ``draws``."""
    lines = len(draws)
    places = (draws % np.uint64(kinds)).astype(np.int64)
    places += np.arange(lines)[:, np.newaxis] * kinds
    counts = np.bincount(places.ravel(), minlength=lines * kinds)
    return counts.reshape(lines, kinds).astype(np.float32)


def _drawn_examples(examples: int) -> Iterator[NDArray[np.float32]]:
    """Yield how often each example is drawn, (a part of RESAMPLES, examples)."""
    if RESAMPLES * examples <= _ENTRIES:
        yield _kept_draws(examples)
        return
    source = _raw(_EXAMPLES_STREAM)
    lines = max(1, _ENTRIES // examples)
    for start in range(0, RESAMPLES, lines):
        here = min(lines, RESAMPLES - start)
        yield _counts(source.random_raw(here * examples).reshape(here, examples), examples)


@lru_cache(maxsize=2)
def _kept_draws(examples: int) -> NDArray[np.float32]:
    """Return the draws of one number of examples, which all tables of a board share."""
    draws = _raw(_EXAMPLES_STREAM).random_raw(RESAMPLES * examples)
    return _counts(draws.reshape(RESAMPLES, examples), examples)


@lru_cache(maxsize=32)
def _drawn_seeds(seeds: int, stream: int) -> NDArray[np.float32]:
    """Return how often each seed is drawn, (RESAMPLES, seeds)."""
    drawn = max(1, seeds - 1)
    draws = _raw(stream).random_raw(RESAMPLES * drawn).reshape(RESAMPLES, drawn)
    return _counts(draws, seeds)
