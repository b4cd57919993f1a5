"""Compare the rows of a table on the same examples, over their seeds, by the worst case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from robench.records.rows import DefenseRow
from robench.records.statistics import Score, holm
from robench.records.statistics_groups import LEVEL, detectable, group_letters
from robench.records.statistics_seeds import Pair, Row, resample


@dataclass(frozen=True)
class Comparison:
    """The most robust row compared with another row.

    Attributes:
        first: label of the row with the highest worst case.
        other: label of the other row.
        seeds: number of seeds of both rows.
        worst: the comparison by the worst case over attacks.
        clean: the comparison by the clean accuracy.
        corrected: p-value of ``worst``, corrected by Holm over all pairs of rows.
    """

    first: str
    other: str
    seeds: tuple[int, int]
    worst: Pair
    clean: Pair
    corrected: float

    @property
    def told_apart(self) -> bool:
        """Whether the corrected test tells the two rows apart."""
        return self.corrected <= LEVEL


@dataclass(frozen=True)
class ComparedTable:
    """What the paired tests say of a table.

    Attributes:
        comparisons: the first row compared with every other row, in the order of the rows.
        groups: label of a row -> its letters (``group_letters``). None: more letters are needed
            than there are. Rows without a worst case are not among them.
        tests: number of pairs of rows, each of which was tested once.
        seeds: the smallest and the largest number of seeds of the rows.
        examples: number of test examples.
        detectable: true difference of two worst cases, in [0, 1], that the test of the pair of rows
            in the middle finds with a chance of 80 %. Other pairs need more or less.
    """

    comparisons: tuple[Comparison, ...] = ()
    groups: Mapping[str, str] | None = field(default_factory=dict)
    tests: int = 0
    seeds: tuple[int, int] = (0, 0)
    examples: int = 0
    detectable: float | None = None


def compare_rows(rows: Sequence[DefenseRow]) -> ComparedTable:
    """Compare all rows with each other by their worst case.

    The first row was chosen by the outcomes that are tested. Each pair of rows could have been
    among the comparisons, so the correction counts the tests of all pairs.

    Rows without a worst case are left out, as are rows on another number of examples than the
    first one has. The result is empty if fewer than two rows remain.

    Args:
        rows: result of ``build_rows``, the most robust row first.
    """
    known = [
        (row, row.clean, row.worst)
        for row in rows
        if isinstance(row.worst, Score) and isinstance(row.clean, Score)
    ]
    whole = [each for each in known if each[2].examples == known[0][2].examples]
    if len(whole) < 2:
        return ComparedTable()
    drawn = resample([score.outcomes for _, clean, worst in whole for score in (worst, clean)])
    names = [row.defense for row, _, _ in whole]
    worst: dict[str, Row] = dict(zip(names, drawn[::2], strict=True))
    clean: dict[str, Row] = dict(zip(names, drawn[1::2], strict=True))
    # The pairs with the first row come first, and the comparisons keep this order.
    pairs = {both: Pair(worst[both[0]], worst[both[1]]) for both in combinations(names, 2)}
    p_values = holm([pair.p_value for pair in pairs.values()])
    corrected = dict(zip(pairs, p_values, strict=True))
    first, *others = names
    seeds = [len(row.outcomes) for row in worst.values()]
    return ComparedTable(
        tuple(
            Comparison(
                first,
                other,
                (len(worst[first].outcomes), len(worst[other].outcomes)),
                pairs[first, other],
                Pair(clean[first], clean[other]),
                corrected[first, other],
            )
            for other in others
        ),
        group_letters(names, [both for both, p in corrected.items() if p <= LEVEL]),
        len(pairs),
        (min(seeds), max(seeds)),
        worst[first].examples,
        detectable(
            [pair.standard_error for pair in pairs.values()],
            [pair.degrees_of_freedom for pair in pairs.values()],
        ),
    )
