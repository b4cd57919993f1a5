"""From records to the numbers of a table: one row per defense, one score per attack, and the worst case over attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from robench._base.errors import RobenchError
from robench.results.record import Counts, Record, count
from robench.results.statistics import Score, accuracy_under_attack, clean_accuracy, worst_case


@dataclass(frozen=True)
class Gap:
    """A score that does not exist: a record is absent, or one ended in errors. ``have`` of the row's ``want`` seeds are there."""

    kind: Literal["absent", "error"]
    have: int
    want: int


@dataclass(frozen=True)
class Row:
    """One defense.

    Attributes:
        seeds: every training seed of which a record exists, ascending.
        examples: number of test examples; None where there is no record.
        clean, worst: clean accuracy, and accuracy under all the table's attacks together.
        under: attack label -> accuracy under it.
    """

    defense: str
    seeds: tuple[int, ...]
    examples: int | None
    clean: Score | Gap
    under: Mapping[str, Score | Gap]
    worst: Score | Gap


def build_rows(
    records: Iterable[Record], attacks: Sequence[str], expected: Sequence[str] = ()
) -> list[Row]:
    """Rows of a table, the most robust first (by worst case, then clean accuracy, then label); rows without a worst case last.

    Args:
        records: of one task, encoder and protocol; at most one per defense, attack and seed; those with errors make ``error`` gaps.
        attacks: labels of the columns.
        expected: labels of defenses that get a row even without a record.
    """
    cells: dict[str, dict[int, dict[str, Record]]] = {label: {} for label in expected}
    for record in records:
        cells.setdefault(record.defense.label, {}).setdefault(record.search.seed, {})[
            record.attack.label
        ] = record
    return sorted((_row(label, seeds, attacks) for label, seeds in cells.items()), key=_rank)


def _rank(row: Row) -> tuple[bool, float, float, str]:
    def value(score: Score | Gap) -> float:
        return -score.mean if isinstance(score, Score) else 0.0

    return isinstance(row.worst, Gap), value(row.worst), value(row.clean), row.defense


def _row(label: str, seeds: Mapping[int, Mapping[str, Record]], attacks: Sequence[str]) -> Row:
    def score(
        of_seed: Callable[[Mapping[str, Record]], Counts | None], rate: Callable[[Counts], float]
    ) -> Score | Gap:
        return _score([of_seed(seeds[seed]) for seed in sorted(seeds)], rate)

    sizes = {record.counts.n for by_attack in seeds.values() for record in by_attack.values()}
    return Row(
        defense=label,
        seeds=tuple(sorted(seeds)),
        examples=sizes.pop() if len(sizes) == 1 else None,
        clean=score(_any_whole, clean_accuracy),
        under={
            attack: score(partial(_counts_under, attack), accuracy_under_attack)
            for attack in attacks
        },
        worst=score(lambda of: _together(label, of, attacks), accuracy_under_attack),
    )


def _counts_under(attack: str, of: Mapping[str, Record]) -> Counts | None:
    """Counts of one seed's record under that attack; None where there is no such record."""
    return of[attack].counts if attack in of else None


def _score(counts: Sequence[Counts | None], rate: Callable[[Counts], float]) -> Score | Gap:
    whole = [each for each in counts if each is not None and not each.error]
    if whole and len(whole) == len(counts):
        return Score(tuple(rate(each) for each in whole), whole[0].n)
    failed = any(each is not None and each.error for each in counts)
    return Gap("error" if failed else "absent", len(whole), len(counts))


def _any_whole(by_attack: Mapping[str, Record]) -> Counts | None:
    """Counts of one record of the seed, for its WRONG: an errorless one where there is one."""
    ordered = [by_attack[label].counts for label in sorted(by_attack)]
    return min(ordered, key=lambda each: each.error, default=None)


def _together(label: str, by_attack: Mapping[str, Record], attacks: Sequence[str]) -> Counts | None:
    """Counts of the worst case over ``attacks``; None where one of them is missing, unless another one failed already."""
    present = [by_attack[attack].outcomes for attack in attacks if attack in by_attack]
    if len(present) < len(attacks) and not any("E" in outcomes for outcomes in present):
        return None
    try:
        return count(worst_case(present))
    except ValueError as error:
        raise RobenchError(
            f"The records of '{label}' do not go together: {error}. Evaluate it again on one device."
        ) from error
