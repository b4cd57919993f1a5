"""Which rows of a table are told apart from its best one: paired tests on the same examples, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.results.record import Record
from robench.results.rows import Gap, Row
from robench.results.statistics import Paired, compare, worst_case


@dataclass(frozen=True)
class Versus:
    """The best row against another one for one seed, by the worst case over attacks: ``result.only_first`` is robust under the best row only."""

    best: str
    other: str
    seed: int
    result: Paired


def against_best(
    rows: Sequence[Row], records: Iterable[Record], attacks: Sequence[str]
) -> list[Versus]:
    """The first of ``rows`` against every other one, for each seed that both have whole; empty where fewer than two rows have a worst case.

    Args:
        rows: of ``build_rows``, the best first.
        records: those that the rows were built from.
        attacks: labels of the columns.
    """
    whole = [row for row in rows if not isinstance(row.worst, Gap)]
    if len(whole) < 2:
        return []
    outcomes = {
        (record.defense.label, record.search.seed, record.attack.label): record.outcomes
        for record in records
    }

    def worst(row: Row, seed: int) -> str:
        return worst_case([outcomes[row.defense, seed, attack] for attack in attacks])

    best, *others = whole
    return [
        Versus(best.defense, other.defense, seed, compare(worst(best, seed), worst(other, seed)))
        for other in others
        for seed in sorted({*best.seeds} & {*other.seeds})
    ]
