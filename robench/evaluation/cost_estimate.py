"""Estimate how long a part of a run takes, from what was measured before.

An estimate is a range, and says where it comes from. The nearest measurements are used: the same
part with the same settings, then other settings, other data, other methods. The farther they are,
the wider the range. Where nothing was measured there is no estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean, median
from typing import Final

from robench._base.counted import counted
from robench.evaluation.cost_log import Done, Kind, Work

ENOUGH: Final = 3
"""Number of measurements from which on the range is narrower."""
NEAR, FEW, FAR, FARTHEST = 1.25, 1.5, 2.0, 4.0
"""How far beyond the measured rates the range goes, by how near the measurements are."""
SEARCH_OVER_FORWARDS: Final = {"cpu": 2.5, "cuda": 8.0}
"""How many times as long as bare forward passes a search may take, by the kind of device."""
PASSES: Final = (1.0, 4.0, 12.0)
"""How many plain steps one step of a defense takes: the least, a usual one, the most."""
SMALL: Final = 20
"""How many times as much work as was measured makes a measurement a small one."""
START: Final = 10.0
"""How much of the time of a small run its start may be: all but a tenth."""


@dataclass(frozen=True, slots=True)
class Range:
    """An estimated amount and where it comes from.

    Attributes:
        low: the least.
        likely: the most likely.
        high: the most.
        source: where the numbers come from, as a clause.
    """

    low: float
    likely: float
    high: float
    source: str

    @classmethod
    def around(cls, values: Sequence[float], factor: float, source: str) -> Range:
        """Return the range of measured values, widened by a factor on both sides."""
        middle = geometric_mean(values) if min(values) > 0 else fmean(values)
        return cls(min(values) / factor, middle, max(values) * factor, source)

    def times(self, factor: float) -> Range:
        """Return the range times a number."""
        return Range(self.low * factor, self.likely * factor, self.high * factor, self.source)

    def at_most(self, limit: float | None) -> Range:
        """Return the range without what is above a limit."""
        if limit is None:
            return self
        low, likely, high = (min(each, limit) for each in (self.low, self.likely, self.high))
        return Range(low, likely, high, self.source)


@dataclass(frozen=True, slots=True)
class PublishedCount:
    """Queries of one attack on one task in published records.

    Attributes:
        task: name of the task.
        asked: queries for each judged example: the least and the most of all records.
        forwarded: rows that went through the victim, for each judged example, in the same way.
        changes: mean number of one-word changes of an example of the task; 0 if not measured.
        records: number of the records.
    """

    task: str
    asked: tuple[float, ...]
    forwarded: tuple[float, ...]
    changes: float
    records: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a part takes; None for what is not known.

    Attributes:
        asked: queries, of an attack.
        rows: rows that go through the victim, of an attack.
        seconds: wall-clock seconds.
    """

    asked: Range | None = None
    rows: Range | None = None
    seconds: Range | None = None


def estimate(
    work: Work,
    log: Sequence[Done],
    published: Mapping[str, Sequence[PublishedCount]],
    budget: int | None = None,
) -> Estimate:
    """Return what a part takes.

    Args:
        work: the part.
        log: what was done before.
        published: name of an attack -> what published records say about its queries.
        budget: most queries for one example of an attack.
    """
    if work.kind == "attack":
        return _attack(work, log, published, budget)
    find = {"training": _training, "surface": _surface}[work.kind]
    rate = find(work, [done for done in log if done.work.device == work.device])
    return Estimate(seconds=rate and rate.times(work.units))


def _training(work: Work, log: Sequence[Done]) -> Range | None:
    """Return the seconds for one example in one epoch."""
    here = _like(log, work, "training")
    known = [done for done in here if done.work.data == work.data]
    same = [done for done in known if done.work.what == work.what]
    if same:
        return _around(work, same, f"measured here on {_count(same, 'training')}")
    name = _name(work.what)
    relatives = [done for done in known if _name(done.work.what) == name]
    if relatives:
        source = f"{_count(relatives, 'training')} of {name} with other options, measured here"
        return _range(work, relatives, list(map(_per_unit, relatives)), FAR, source)
    elsewhere = [done for done in here if _name(done.work.what) == name and done.work.words]
    if elsewhere and work.words:
        source = f"{_count(elsewhere, 'training')} on other data, by the number of words"
        return _range(work, elsewhere, [_by_words(done, work) for done in elsewhere], FAR, source)
    if known:
        source = f"{_count(known, 'training')} of other defenses, measured here"
        return _range(work, known, list(map(_per_unit, known)), FARTHEST, source)
    steps = [done for done in _like(log, work, "step") if done.work.data == work.data]
    if steps:
        low, likely, high = (passes * _per_unit(steps[-1]) for passes in PASSES)
        return Range(
            low,
            likely,
            high,
            "plain training steps measured here; a defense takes 1 to 12 times as long",
        )
    return None


def _surface(work: Work, log: Sequence[Done]) -> Range | None:
    """Return the seconds for one example."""
    here = _like(log, work, "surface")
    same = [done for done in here if (done.work.data, done.work.what) == (work.data, work.what)]
    if same:
        return _around(work, same, f"measured here on {_count(same, 'surface')}")
    others = [done for done in here if done.work.changes]
    if others and work.changes:
        rates = [_per_unit(done) * work.changes / done.work.changes for done in others]
        source = f"{_count(others, 'surface')} of other data, by the number of substitutes"
        return _range(work, others, rates, FAR, source)
    return None


def _attack(
    work: Work,
    log: Sequence[Done],
    published: Mapping[str, Sequence[PublishedCount]],
    budget: int | None,
) -> Estimate:
    asked, rows = (
        found and found.times(work.units) for found in _queries(work, log, published, budget)
    )
    here = _like([done for done in log if done.work.device == work.device], work, "attack")
    same = [
        done
        for done in here
        if (done.work.what, done.work.data) == (work.what, work.data)
        and done.work.settings == work.settings
    ]
    if same:
        nearest = [done for done in same if done.work.row == work.row] or same
        rate = _around(work, nearest, f"measured here on {_count(nearest, 'cell')}")
        return Estimate(asked, rows, rate.times(work.units))
    row = _seconds_a_row(work, here, log)
    if row is None or rows is None:
        return Estimate(asked, rows)
    seconds = Range(row.low * rows.low, row.likely * rows.likely, row.high * rows.high, row.source)
    return Estimate(asked, rows, seconds)


def _seconds_a_row(work: Work, here: Sequence[Done], log: Sequence[Done]) -> Range | None:
    """Return the seconds for one row of a search, from other attacks or from forward passes."""
    rated = [done for done in here if done.forwarded]
    known = [done for done in rated if done.work.data == work.data]
    if known:
        rates = [done.seconds / (done.forwarded or 1) for done in known]
        source = f"rows of {_count(known, 'cell')} of other attacks here"
        return _range(work, known, rates, FEW, source)
    scaled = [done for done in rated if done.work.words]
    if scaled and work.words:
        rates = [
            done.seconds / (done.forwarded or 1) * work.words / done.work.words for done in scaled
        ]
        source = f"rows of {_count(scaled, 'cell')} on other data here, by the number of words"
        return _range(work, scaled, rates, FAR, source)
    passes = [
        done
        for done in _like(log, work, "forward")
        if (done.work.device, done.work.data) == (work.device, work.data)
    ]
    if passes:
        rate = _per_unit(passes[-1])
        most = SEARCH_OVER_FORWARDS.get(
            passes[-1].work.settings, max(SEARCH_OVER_FORWARDS.values())
        )
        source = f"forward passes measured here; a search takes up to {most:g} times as long"
        return Range(rate, rate * most**0.5, rate * most, source)
    return None


def _queries(
    work: Work,
    log: Sequence[Done],
    published: Mapping[str, Sequence[PublishedCount]],
    budget: int | None,
) -> tuple[Range | None, Range | None]:
    """Return the queries and the rows for one example."""
    for counts, factor, source in _counts(work, log, published):
        asked = Range.around([each for each, _ in counts], factor, source).at_most(budget)
        share = [rows / each for each, rows in counts if each]
        likely = fmean(share) if share else 1.0
        # No more rows than queries: equal queries are answered once.
        rows = Range(
            asked.low * min(share, default=1.0),
            asked.likely * likely,
            asked.high * max(share, default=1.0),
            source,
        )
        return asked, rows
    return None, None


_Counts = tuple[list[tuple[float, float]], float, str]
"""Queries and rows for one example, how far the range goes beyond them, and their source."""


def _counts(
    work: Work, log: Sequence[Done], published: Mapping[str, Sequence[PublishedCount]]
) -> Iterator[_Counts]:
    """Yield what is known of the queries for one example, the nearest first."""
    cells = [
        done
        for done in log
        if (done.work.kind, done.work.what) == ("attack", work.what)
        and done.work.settings == work.settings
        and done.asked is not None
        and done.work.units
    ]
    same = [done for done in cells if done.work.data == work.data]
    if same:
        counts = [(_asked(done), (done.forwarded or 0) / done.work.units) for done in same]
        yield counts, _factor(same), f"measured here on {_count(same, 'cell')}"
    records = [each for each in published.get(work.what, ()) if each.asked]
    exact = [each for each in records if each.task == work.data]
    if exact:
        counts = [pair for each in exact for pair in zip(each.asked, each.forwarded, strict=True)]
        number = sum(each.records for each in exact)
        yield counts, FEW, f"{counted(number, 'published record')} of this task"
    if records and not any(max(each.asked) for each in records):
        yield [(0.0, 0.0)], 1.0, "published records, in which it asks nothing"
    scaled = [
        pair
        for each in records
        if each.changes and work.changes
        for pair in _scaled(each, work.changes)
    ]
    if scaled:
        source = "published records of other tasks, by the number of substitutes"
        yield scaled, FEW, source
    if work.changes:
        # Every one-word change once; or all of them again at each place.
        least, most = work.changes, work.changes * max(1.0, work.positions)
        source = "no run yet: from the number of words and substitutes"
        yield [(least, least), (most, most)], 1.0, source


def _scaled(count: PublishedCount, changes: float) -> Iterator[tuple[float, float]]:
    """Yield the queries of a record as they are, and in proportion to the one-word changes.

    A search with a fixed number of rounds asks as much about a short text as about a long one.
    """
    factor = changes / count.changes
    for asked, rows in zip(count.asked, count.forwarded, strict=True):
        yield asked, rows
        yield asked * factor, rows * factor


def _like(log: Iterable[Done], work: Work, kind: Kind) -> list[Done]:
    """Return what was done with the same model in the same precision.

    Small runs are left out where larger ones are known: most of their time is their start.
    """
    wanted = (kind, work.model, work.precision)
    found = [
        done
        for done in log
        if (done.work.kind, done.work.model, done.work.precision) == wanted and done.work.units
    ]
    if kind != work.kind:
        return found
    enough = min(work.units, max((done.work.units for done in found), default=0)) / SMALL
    return [done for done in found if done.work.units >= enough]


def _around(work: Work, done: Sequence[Done], source: str) -> Range:
    return _range(work, done, list(map(_per_unit, done)), _factor(done), source)


def _range(
    work: Work, done: Sequence[Done], rates: Sequence[float], factor: float, source: str
) -> Range:
    """Return the range of measured rates; its lower end is farther away for small runs."""
    found = Range.around(rates, factor, source)
    if work.units <= SMALL * max(each.work.units for each in done):
        return found
    small = f"{source}, which did much less"
    return Range(found.low / START, found.likely / START**0.5, found.high, small)


def _factor(done: Sequence[Done]) -> float:
    return NEAR if len(done) >= ENOUGH else FEW


def _per_unit(done: Done) -> float:
    return done.seconds / done.work.units


def _asked(done: Done) -> float:
    return (done.asked or 0) / done.work.units


def _by_words(done: Done, work: Work) -> float:
    return _per_unit(done) * work.words / done.work.words


def _name(label: str) -> str:
    """Return the name of a plugin in its label."""
    return label.partition("(")[0]


def _count(done: Sequence[Done], what: str) -> str:
    return counted(len(done), what)


@dataclass(frozen=True, slots=True)
class PastEstimates:
    """How far off earlier estimates were.

    Attributes:
        parts: number of finished parts that had an estimate before.
        median_factor: median of the factor between the likely and the actual seconds, from 1.
        worst_factor: the largest of these factors.
        inside: number of parts whose seconds lay in the range.
    """

    parts: int
    median_factor: float
    worst_factor: float
    inside: int

    @classmethod
    def of(cls, log: Iterable[Done], device: str) -> PastEstimates | None:
        """Return how far off the estimates on a device were; None where there were none."""
        factors, inside = [], 0
        for done in log:
            if done.expected is None or done.work.device != device:
                continue
            low, likely, high = done.expected
            if likely <= 0 or done.seconds <= 0:
                continue
            factors.append(max(likely / done.seconds, done.seconds / likely))
            inside += low <= done.seconds <= high
        if not factors:
            return None
        return cls(len(factors), median(factors), max(factors), inside)
