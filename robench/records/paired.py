"""Compare the most robust row of a table with every other row, on the same examples and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        corrected: its p-value, corrected by Holm over all comparisons of the table.
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

    def worst(row: DefenseRow, seed: int) -> str:
        return worst_case([outcomes[row.defense, seed, attack] for attack in attacks])

    first, *others = whole
    pairs = [(other, seed) for other in others for seed in sorted({*first.seeds} & {*other.seeds})]
    both = [(worst(first, seed), worst(other, seed)) for other, seed in pairs]
    results = [compare(ours, theirs) for ours, theirs in both]
    corrected = holm([result.p_value for result in results])
    return [
        Comparison(first.defense, other.defense, seed, result, p_value, _clean_difference(*letters))
        for (other, seed), letters, result, p_value in zip(
            pairs, both, results, corrected, strict=True
        )
    ]


def _clean_difference(first: str, second: str) -> float:
    """Return the clean accuracy of the first outcomes minus that of the second."""
    return (second.count("W") - first.count("W")) / len(first)
