"""Compare two rows on the same examples: per attack, per seed, and by the worst case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from robench._base.errors import UsageError
from robench.records.judged_ids import fitting_trials
from robench.records.record import Record
from robench.records.sides import Side
from robench.records.statistics import (
    ROBUST,
    BlockedCell,
    compare,
    right_without_attack,
    tango,
    worst_case,
)
from robench.records.statistics_seeds import Pair, resample
from robench.search.attack import Trial, Verdict


@dataclass(frozen=True)
class SeedPair:
    """Two victims on the same examples.

    Attributes:
        seeds: seed of the first and of the second victim.
        examples: number of common examples.
        right_first: number of examples that the first victim has right.
        right_second: number of examples that the second victim has right.
        only_first: number of examples that only the first victim has right.
        only_second: number of examples that only the second victim has right.
        p_value: two-sided p-value of the exact McNemar test.
    """

    seeds: tuple[int, int]
    examples: int
    right_first: int
    right_second: int
    only_first: int
    only_second: int
    p_value: float

    @property
    def difference(self) -> float:
        """Rate of the first victim minus that of the second, in [-1, 1]."""
        return (self.only_first - self.only_second) / self.examples

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``difference`` for the choice of the examples (``tango``)."""
        return tango(self.only_first, self.only_second, self.examples)


@dataclass(frozen=True)
class Measure:
    """One accuracy of both rows.

    Attributes:
        kind: ``"clean"``, ``"attack"`` or ``"worst"``.
        attacks: labels of the attacks; none for the clean accuracy.
        pairs: one pair for each common seed.
        over_seeds: the two rows over all seeds together.
    """

    kind: Literal["clean", "attack", "worst"]
    attacks: tuple[str, ...]
    pairs: tuple[SeedPair, ...]
    over_seeds: Pair = field(repr=False, compare=False)

    @property
    def first(self) -> float:
        """Rate of the first row, the mean over the seeds, in [0, 1]."""
        return fmean(pair.right_first / pair.examples for pair in self.pairs)

    @property
    def second(self) -> float:
        """Rate of the second row, the mean over the seeds, in [0, 1]."""
        return fmean(pair.right_second / pair.examples for pair in self.pairs)

    @property
    def difference(self) -> float:
        """Mean over the seeds of the first rate minus the second, in [-1, 1]."""
        return fmean(pair.difference for pair in self.pairs)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the difference over the seeds; None with one seed."""
        return stdev(p.difference for p in self.pairs) if len(self.pairs) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference: over seeds and examples, if there are several seeds."""
        return self.over_seeds.interval

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference: over seeds and examples, as ``interval`` is."""
        return self.over_seeds.p_value


@dataclass(frozen=True)
class Aligned:
    """Two cells on their common examples.

    Attributes:
        first: outcomes of the first cell, one letter for each common example.
        second: outcomes of the second cell.
        ids: ids of the common examples, or None if they are not known.
        trials_first: trials of the first cell, or None.
        trials_second: trials of the second cell, or None.
        problems: sentences about trials that do not fit their record.
    """

    first: str
    second: str
    ids: tuple[str, ...] | None
    trials_first: tuple[Trial, ...] | None
    trials_second: tuple[Trial, ...] | None
    problems: tuple[str, ...] = ()


def align(first: Record, first_folder: Path, second: Record, second_folder: Path) -> Aligned:
    """Return two cells on their common examples.

    Cells with the same examples are paired by position. Otherwise their trials say which examples
    they share.

    Raises:
        UsageError: the examples differ and a trials file is missing, or no example is common.
    """
    found = fitting_trials(first_folder, first), fitting_trials(second_folder, second)
    (ours, theirs) = (each.trials for each in found)
    problems = tuple(each.problem for each in found if each.problem is not None)
    if first.ids_digest == second.ids_digest:
        known = ours or theirs
        return Aligned(
            first.outcomes,
            second.outcomes,
            tuple(trial.id for trial in known) if known else None,
            tuple(ours) if ours else None,
            tuple(theirs) if theirs else None,
            problems,
        )
    if ours is None or theirs is None:
        raise UsageError(
            f"{first.file_name} and {second.file_name} judge different examples, and the trials "
            "that say which ones are common are missing or do not fit. Evaluate both rows on the "
            f"same examples. {' '.join(problems)}".rstrip()
        )
    by_id = {
        trial.id: (trial, letter) for trial, letter in zip(theirs, second.outcomes, strict=True)
    }
    common = [
        (t, o, *by_id[t.id]) for t, o in zip(ours, first.outcomes, strict=True) if t.id in by_id
    ]
    if not common:
        raise UsageError(
            f"{first.file_name} and {second.file_name} have no example in common, so they cannot "
            "be compared."
        )
    trials, outcomes, other_trials, other_outcomes = zip(*common, strict=True)
    ids = tuple(trial.id for trial in trials)
    return Aligned("".join(outcomes), "".join(other_outcomes), ids, trials, other_trials)


def pair_seeds(first: Side, second: Side) -> tuple[list[tuple[int, int]], list[str]]:
    """Return the pairs of seeds to compare, and sentences about seeds that have no partner.

    A seed is paired with the same seed. Where each row has one seed only, these are paired.

    Raises:
        UsageError: the rows have no seed in common.
    """
    ours, theirs = ({seed for _, seed in side.cells} for side in (first, second))
    common = sorted(ours & theirs)
    if not common and len(ours) == len(theirs) == 1:
        pair = (ours.pop(), theirs.pop())
        return [pair], [f"The seeds differ: {pair[0]} and {pair[1]}."]
    if not common:
        raise UsageError(
            f"{first.name} has the seeds {_numbers(ours)} and {second.name} {_numbers(theirs)}. "
            "None is common. Evaluate both with the same seeds."
        )
    notes = [
        f"Seeds of {side.name} without a partner are left out: {_numbers(seeds - set(common))}."
        for side, seeds in ((first, ours), (second, theirs))
        if seeds - set(common)
    ]
    return [(seed, seed) for seed in common], notes


def _numbers(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def measure(
    kind: Literal["clean", "attack", "worst"],
    attacks: Sequence[str],
    aligned: Mapping[tuple[str, int, int], Aligned],
    seeds: Sequence[tuple[int, int]],
) -> Measure:
    """Return one accuracy of both rows.

    Args:
        kind: which accuracy.
        attacks: the attacks; for the clean accuracy, attacks whose cells hold the clean verdicts.
        aligned: (attack, first seed, second seed) -> the two cells.
        seeds: the pairs of seeds.

    Raises:
        BlockedCell: an example ended in an error.
        ValueError: the attacks on one row did not attack the same victim.
    """
    outcomes = [outcomes_of(kind, attacks, aligned, both) for both in seeds]
    pairs = []
    for (ours, theirs), (first, second) in zip(seeds, outcomes, strict=True):
        test = compare(first, second)
        right_first, right_second = (
            sum(letter in ROBUST for letter in each) for each in (first, second)
        )
        pairs.append(
            SeedPair(
                seeds=(ours, theirs),
                examples=len(first),
                right_first=right_first,
                right_second=right_second,
                only_first=test.only_first,
                only_second=test.only_second,
                p_value=test.p_value,
            )
        )
    over_seeds = Pair(*resample(list(zip(*outcomes, strict=True))))
    return Measure(kind, () if kind == "clean" else tuple(attacks), tuple(pairs), over_seeds)


def outcomes_of(
    kind: Literal["clean", "attack", "worst"],
    attacks: Sequence[str],
    aligned: Mapping[tuple[str, int, int], Aligned],
    seeds: tuple[int, int],
) -> tuple[str, str]:
    """Return the outcomes of both victims of one pair of seeds; see ``measure``."""
    cells = [aligned[attack, *seeds] for attack in attacks]
    if kind == "clean":
        # Every attack on a victim sees the same clean predictions. One without errors is preferred.
        cell = min(cells, key=lambda each: (each.first + each.second).count("E"))
        return right_without_attack(cell.first), right_without_attack(cell.second)
    if len({len(cell.first) for cell in cells}) > 1:
        raise BlockedCell("the attacks were run on different numbers of examples")
    return worst_case([c.first for c in cells]), worst_case([c.second for c in cells])


def substitutions_of(
    cells: Sequence[tuple[Trial, ...] | None], own: str, other: str
) -> Counter[tuple[str, str]]:
    """Count the substitutions that fooled one row on examples that the other row withstands.

    A substitution counts once for an example, however many attacks used it.

    Args:
        cells: trials of the fooled row under each attack; None where they are not known.
        own: outcomes of that row by the measure.
        other: outcomes of the other row by the same measure.

    Returns:
        (original word, substitute) -> number of examples.
    """
    found: Counter[tuple[str, str]] = Counter()
    for position, (here, there) in enumerate(zip(own, other, strict=True)):
        if here != "F" or there not in ROBUST:
            continue
        trials = [cell[position] for cell in cells if cell is not None]
        found.update(
            {
                (change.original, change.substitute)
                for trial in trials
                if trial.verdict == Verdict.FOOLED
                for change in trial.changes
            }
        )
    return found
