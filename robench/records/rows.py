"""Compute the rows of a table from records.

A row shows one victim: one score per attack, and the worst case over several attacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from robench._base.errors import RobenchError
from robench.records.record import Counts, Record, count
from robench.records.statistics import Score, accuracy_under_attack, clean_accuracy, worst_case
from robench.records.training_notes import trained_against


@dataclass(frozen=True)
class Gap:
    """A score that does not exist.

    Attributes:
        kind: ``"absent"`` if a record is missing, ``"error"`` if a record has errors.
        have: number of the row's seeds that have a score.
        want: number of the row's seeds.
    """

    kind: Literal["absent", "error"]
    have: int
    want: int


@dataclass(frozen=True)
class DefenseRow:
    """The scores of one defense, or of one victim that the user gave.

    Attributes:
        defense: label of the row (``Record.row``).
        seeds: seeds that have a record, ascending.
        examples: number of test examples, or None if there is no record.
        clean: clean accuracy.
        under: label of an attack -> accuracy under it.
        worst: accuracy under the attacks of the worst case together.
        trained_against: labels of the attacks that made training texts of this row.
    """

    defense: str
    seeds: tuple[int, ...]
    examples: int | None
    clean: Score | Gap
    under: Mapping[str, Score | Gap]
    worst: Score | Gap
    trained_against: frozenset[str] = frozenset()


RecordsOfSeed = Mapping[str, Record]
"""Label of the attack -> record, for one row and one seed."""


def build_rows(
    records: Iterable[Record],
    attacks: Sequence[str],
    expected: Sequence[str] = (),
    worst_over: Sequence[str] | None = None,
) -> list[DefenseRow]:
    """Return the rows of a table, the most robust defense first.

    Rows are sorted by worst case, then clean accuracy, then label. Rows without a worst case
    come last.

    Args:
        records: records of one task, encoder and protocol, at most one per row, attack and seed.
            Records with errors become gaps.
        attacks: labels of the attacks, which are the columns.
        expected: labels of rows that are there even without a record.
        worst_over: labels of the attacks that the worst case covers, or None for all columns. No
            row has a worst case if there are none.

    Raises:
        RobenchError: the attacks on one defense did not attack the same victim.
    """
    by_defense: dict[str, dict[int, dict[str, Record]]] = {label: {} for label in expected}
    for record in records:
        by_seed = by_defense.setdefault(record.row, {})
        by_seed.setdefault(record.search.seed, {})[record.attack.label] = record
    covered = attacks if worst_over is None else worst_over
    rows = [_row(label, by_seed, attacks, covered) for label, by_seed in by_defense.items()]
    return sorted(rows, key=_rank)


def _rank(row: DefenseRow) -> tuple[bool, float, float, str]:
    """Return a sort key: rows with a worst case first, higher scores first."""

    def negative(score: Score | Gap) -> float:
        return -score.mean if isinstance(score, Score) else 0.0

    return isinstance(row.worst, Gap), negative(row.worst), negative(row.clean), row.defense


def _row(
    label: str,
    by_seed: Mapping[int, RecordsOfSeed],
    attacks: Sequence[str],
    worst_over: Sequence[str],
) -> DefenseRow:
    seeds = sorted(by_seed)
    under: dict[str, Score | Gap] = {}
    for attack in attacks:
        counts = [_counts_under(attack, by_seed[seed]) for seed in seeds]
        under[attack] = _score(counts, accuracy_under_attack)
    clean = [_counts_of_any(by_seed[seed]) for seed in seeds]
    worst = [_worst_counts(label, by_seed[seed], worst_over) for seed in seeds]
    sizes = {record.counts.n for of_seed in by_seed.values() for record in of_seed.values()}
    return DefenseRow(
        defense=label,
        seeds=tuple(seeds),
        examples=sizes.pop() if len(sizes) == 1 else None,
        clean=_score(clean, clean_accuracy),
        under=under,
        worst=_score(worst, accuracy_under_attack),
        trained_against=frozenset(
            record.attack.label
            for of_seed in by_seed.values()
            for record in of_seed.values()
            if trained_against(record)
        ),
    )


def _score(counts: Sequence[Counts | None], rate: Callable[[Counts], float]) -> Score | Gap:
    """Return the score over all seeds, or a gap if a seed has no counts or has errors."""
    whole = [each for each in counts if each is not None and not each.error]
    if whole and len(whole) == len(counts):
        return Score(tuple(rate(each) for each in whole), whole[0].n)
    failed = any(each is not None and each.error for each in counts)
    return Gap("error" if failed else "absent", len(whole), len(counts))


def _counts_under(attack: str, of_seed: RecordsOfSeed) -> Counts | None:
    return of_seed[attack].counts if attack in of_seed else None


def _counts_of_any(of_seed: RecordsOfSeed) -> Counts | None:
    """Return counts for the clean accuracy.

    Every attack on a victim sees the same clean predictions, so any record will do. One without
    errors is preferred.
    """
    ordered = [of_seed[label].counts for label in sorted(of_seed)]
    return min(ordered, key=lambda counts: counts.error, default=None)


def _worst_counts(label: str, of_seed: RecordsOfSeed, attacks: Sequence[str]) -> Counts | None:
    """Return the counts of the worst case over ``attacks``, or None if a record is missing.

    Without attacks there are no counts either. If another record has errors, its counts are
    returned nevertheless, so that the table shows "error" and not "absent".
    """
    present = [of_seed[attack].outcomes for attack in attacks if attack in of_seed]
    missing = len(present) < len(attacks) or not attacks
    if missing and not any("E" in outcomes for outcomes in present):
        return None
    try:
        return count(worst_case(present))
    except ValueError as error:
        raise RobenchError(
            f"The records of '{label}' do not go together: {error}. Evaluate it again on one "
            "device."
        ) from error
