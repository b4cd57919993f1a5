"""Compute the rows of a table from records.

A row shows one victim: one score per attack, and the worst case over several attacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.statistics import ROBUST, Score, right_without_attack, worst_case
from robench.records.statistics_seeds import resample
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
    return sorted(_with_bounds(rows), key=_rank)


def _with_bounds(rows: Sequence[DefenseRow]) -> list[DefenseRow]:
    """Return the rows with intervals over seeds and examples where they have several seeds.

    Everything that is judged on the same number of examples is drawn together, which is quicker.
    """
    groups: dict[int, dict[tuple[str, ...], tuple[float, float]]] = {}
    for row in rows:
        for score in (row.clean, *row.under.values(), row.worst):
            if isinstance(score, Score) and _has_seeds_to_draw(score):
                groups.setdefault(score.examples, {})[score.outcomes] = (0.0, 0.0)
    for known in groups.values():
        drawn = resample(list(known))
        known.update({each.outcomes: each.interval for each in drawn})

    def bounded(score: Score | Gap) -> Score | Gap:
        if isinstance(score, Gap) or not _has_seeds_to_draw(score):
            return score
        return replace(score, bounds=groups[score.examples][score.outcomes])

    return [
        replace(
            row,
            clean=bounded(row.clean),
            under={attack: bounded(score) for attack, score in row.under.items()},
            worst=bounded(row.worst),
        )
        for row in rows
    ]


def _has_seeds_to_draw(score: Score) -> bool:
    return len(score.outcomes) > 1 and len({len(each) for each in score.outcomes}) == 1


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
    sizes = {record.counts.n for of_seed in by_seed.values() for record in of_seed.values()}
    return DefenseRow(
        defense=label,
        seeds=tuple(seeds),
        examples=sizes.pop() if len(sizes) == 1 else None,
        clean=_score([_clean_outcomes(by_seed[seed]) for seed in seeds]),
        under={
            attack: _score([_outcomes_under(attack, by_seed[seed]) for seed in seeds])
            for attack in attacks
        },
        worst=_score([_worst_outcomes(label, by_seed[seed], worst_over) for seed in seeds]),
        trained_against=frozenset(
            record.attack.label
            for of_seed in by_seed.values()
            for record in of_seed.values()
            if trained_against(record)
        ),
    )


def _score(outcomes: Sequence[str | None]) -> Score | Gap:
    """Return the score over all seeds, or a gap if a seed has no outcomes or has errors."""
    whole = [each for each in outcomes if each is not None and "E" not in each]
    if whole and len(whole) == len(outcomes):
        rates = tuple(sum(map(each.count, ROBUST)) / len(each) for each in whole)
        return Score(rates, len(whole[0]), outcomes=tuple(whole))
    failed = any(each is not None and "E" in each for each in outcomes)
    return Gap("error" if failed else "absent", len(whole), len(outcomes))


def _outcomes_under(attack: str, of_seed: RecordsOfSeed) -> str | None:
    return of_seed[attack].outcomes if attack in of_seed else None


def _clean_outcomes(of_seed: RecordsOfSeed) -> str | None:
    """Return outcomes for the clean accuracy.

    Every attack on a victim sees the same clean predictions, so any record will do. One without
    errors is preferred.
    """
    ordered = [of_seed[label] for label in sorted(of_seed)]
    first = min(ordered, key=lambda record: record.counts.error, default=None)
    return None if first is None else right_without_attack(first.outcomes)


def _worst_outcomes(label: str, of_seed: RecordsOfSeed, attacks: Sequence[str]) -> str | None:
    """Return the outcomes of the worst case over ``attacks``, or None if a record is missing.

    Without attacks there are none either. If another record has errors, its outcomes are returned
    nevertheless, so that the table shows "error" and not "absent".
    """
    present = [of_seed[attack].outcomes for attack in attacks if attack in of_seed]
    missing = len(present) < len(attacks) or not attacks
    if missing and not any("E" in outcomes for outcomes in present):
        return None
    try:
        return worst_case(present)
    except ValueError as error:
        raise RobenchError(
            f"The records of '{label}' do not go together: {error}. Evaluate it again on one "
            "device."
        ) from error
