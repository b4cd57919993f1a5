"""Compare the best row of a table with every other row, on the same examples and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap
from robench.records.statistics import PairedTest, compare, worst_case


@dataclass(frozen=True)
class Comparison:
    """The best row compared with another row for one seed, by the worst case over attacks.

    Attributes:
        best: label of the best defense.
        other: label of the other defense.
        seed: seed of both victims.
        result: the test. The first outcomes are those of the best row.
    """

    best: str
    other: str
    seed: int
    result: PairedTest


def compare_with_best(
    rows: Sequence[DefenseRow], records: Iterable[Record], attacks: Sequence[str]
) -> list[Comparison]:
    """Compare the first row with every other row, for each seed that both rows have.

    Rows without a worst case are left out. The result is empty if fewer than two rows remain.

    Args:
        rows: result of ``build_rows``, the best row first.
        records: the records from which the rows were built.
        attacks: labels of the attacks, which are the columns.
    """
    whole = [row for row in rows if not isinstance(row.worst, Gap)]
    if len(whole) < 2:
        return []
    outcomes = {
        (record.row, record.search.seed, record.attack.label): record.outcomes for record in records
    }

    def worst(row: DefenseRow, seed: int) -> str:
        return worst_case([outcomes[row.defense, seed, attack] for attack in attacks])

    best, *others = whole
    comparisons: list[Comparison] = []
    for other in others:
        for seed in sorted({*best.seeds} & {*other.seeds}):
            result = compare(worst(best, seed), worst(other, seed))
            comparisons.append(Comparison(best.defense, other.defense, seed, result))
    return comparisons
