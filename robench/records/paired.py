"""Compare the most robust row of a table with every other row, on the same examples and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap
from robench.records.statistics import PairedTest, compare, holm, worst_case


@dataclass(frozen=True)
class Comparison:
    """The most robust row compared with another row for one seed, by the worst case over attacks.

    Attributes:
        first: label of the row with the highest worst case.
        other: label of the other row.
        seed: seed of both victims.
        result: the test. The first outcomes are those of the most robust row.
        corrected: its p-value, corrected by Holm over all pairs of rows and all seeds.
        clean: clean accuracy of the most robust row minus that of the other, in [-1, 1].
    """

    first: str
    other: str
    seed: int
    result: PairedTest
    corrected: float
    clean: float


def compare_with_best(
    rows: Sequence[DefenseRow], records: Iterable[Record], attacks: Sequence[str]
) -> list[Comparison]:
    """Compare the first row with every other row, for each seed that both rows have.

    The first row was chosen by the outcomes that are tested. Each pair of rows could have been
    among the comparisons, so the correction counts the tests of all pairs.

    Rows without a worst case are left out. The result is empty if fewer than two rows remain.

    Args:
        rows: result of ``build_rows``, the most robust row first.
        records: the records from which the rows were built.
        attacks: labels of the attacks, which are the columns.
    """
    whole = [row for row in rows if not isinstance(row.worst, Gap)]
    if len(whole) < 2:
        return []
    outcomes = {
        (record.row, record.search.seed, record.attack.label): record.outcomes for record in records
    }
    worst = {
        (row.defense, seed): worst_case([outcomes[row.defense, seed, each] for each in attacks])
        for row in whole
        for seed in row.seeds
    }
    # The pairs with the first row come first, and the comparisons keep this order.
    tested = [
        (one.defense, other.defense, seed)
        for one, other in combinations(whole, 2)
        for seed in sorted({*one.seeds} & {*other.seeds})
    ]
    results = [compare(worst[one, seed], worst[other, seed]) for one, other, seed in tested]
    corrected = holm([result.p_value for result in results])
    return [
        Comparison(
            one,
            other,
            seed,
            result,
            p_value,
            _clean_difference(worst[one, seed], worst[other, seed]),
        )
        for (one, other, seed), result, p_value in zip(tested, results, corrected, strict=True)
        if one == whole[0].defense
    ]


def _clean_difference(first: str, second: str) -> float:
    """Return the clean accuracy of the first outcomes minus that of the second."""
    return (second.count("W") - first.count("W")) / len(first)
