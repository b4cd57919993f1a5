"""The orderings of papers: which row stands above which, and whether a board shows the same.

An ordering says that a paper reports a higher accuracy for one method than for another, on one task
and under one attack, with every encoder for which it reports both. A board tests it on the same
examples, over the seeds of both rows (``statistics_seeds``). The p-values are corrected by Holm's
method for all tests of the board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

from robench.records.record import Record
from robench.records.reported import CLEAN, OptionValue, Reported, ReportedNumber
from robench.records.statistics import holm, right_without_attack
from robench.records.statistics_groups import LEVEL
from robench.records.statistics_seeds import Pair, resample

Outcomes = dict[tuple[str, int], str]
"""(label of the row, seed) -> one letter for each example."""

Verdict = Literal["holds", "does not hold", "cannot be told", "not judged"]

NOT_LEARNED: Final = ("chance", "one-class", "class-ignored")
"""Health findings of a victim that has not learned its task. No ordering is judged by it."""


@dataclass(frozen=True)
class Method:
    """What a row of a paper stands for.

    Attributes:
        printed: its heading in the first table that has it.
        defense: name of the defense in robench.
        options: options of the defense that make it what it is, sorted by name.
    """

    printed: str
    defense: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    @property
    def label(self) -> str:
        """Its name in robench: ``"rift(conditional=false)"``."""
        shown = ", ".join(f"{name}={str(value).lower()}" for name, value in self.options)
        return f"{self.defense}({shown})" if shown else self.defense

    def fits(self, record: Record) -> bool:
        """Return whether a record is about this method, with any other options."""
        if record.defense is None or record.defense.name != self.defense:
            return False
        options = record.defense.options
        return all(name in options and options[name] == value for name, value in self.options)


@dataclass(frozen=True)
class PaperScores:
    """What a paper reports for one task, where a row of a board may stand for the same method.

    Attributes:
        paper: name of the paper.
        task: name of the task.
        methods: the methods, in the order of the paper.
        encoders: the encoders.
        attacks: names of the attacks, the clean accuracy first.
        numbers: (label of the method, encoder, attack) -> the number in the first table that
            has it.
    """

    paper: str
    task: str
    methods: tuple[Method, ...]
    encoders: tuple[str, ...]
    attacks: tuple[str, ...]
    numbers: Mapping[tuple[str, str, str], ReportedNumber]


def paper_scores(reported: Reported) -> list[PaperScores]:
    """Return what the papers report, one entry for each paper and task."""
    groups: dict[tuple[str, str], list[ReportedNumber]] = {}
    for number in reported.numbers():
        if number.row.defense is not None:
            groups.setdefault((number.table.paper, number.table.task), []).append(number)
    return [_scores(paper, task, numbers) for (paper, task), numbers in groups.items()]


def _scores(paper: str, task: str, numbers: Sequence[ReportedNumber]) -> PaperScores:
    methods: dict[str, Method] = {}
    places: dict[tuple[str, str, str], ReportedNumber] = {}
    for number in numbers:
        method = _method(number)
        methods.setdefault(method.label, method)
        place = method.label, number.table.encoder, number.column.attack
        places.setdefault(place, number)
    attacks = dict.fromkeys(number.column.attack for number in numbers)
    return PaperScores(
        paper,
        task,
        tuple(methods.values()),
        tuple(dict.fromkeys(number.table.encoder for number in numbers)),
        tuple(sorted(attacks, key=lambda attack: attack != CLEAN)),
        places,
    )


def _method(number: ReportedNumber) -> Method:
    defense = number.row.defense or ""
    return Method(number.row.printed, defense, tuple(sorted(number.row.options.items())))


@dataclass(frozen=True)
class Ordering:
    """A paper reports a higher accuracy for one method than for another.

    Attributes:
        attack: name of the attack; ``"none"`` for the clean accuracy.
        higher: the method with the higher accuracy.
        lower: the other method.
        points: encoder -> reported difference in points, above 0.
    """

    attack: str
    higher: Method
    lower: Method
    points: Mapping[str, float]


def orderings(scores: PaperScores) -> tuple[list[Ordering], int]:
    """Return the orderings of a paper on one task.

    Returns:
        The orderings, by attack and then by method; and the number of pairs that have none,
        because the encoders of the paper disagree or the two numbers are equal.
    """
    found: list[Ordering] = []
    without = 0
    for attack in scores.attacks:
        for one, other in combinations(scores.methods, 2):
            points = _points(scores, attack, one, other)
            if not points:
                continue
            if all(each > 0 for each in points.values()):
                found.append(Ordering(attack, one, other, points))
            elif all(each < 0 for each in points.values()):
                turned = {encoder: -each for encoder, each in points.items()}
                found.append(Ordering(attack, other, one, turned))
            else:
                without += 1
    return found, without


def _points(scores: PaperScores, attack: str, one: Method, other: Method) -> dict[str, float]:
    """Return encoder -> number of ``one`` minus number of ``other``, where both are reported."""
    points = {}
    for encoder in scores.encoders:
        ours = scores.numbers.get((one.label, encoder, attack))
        theirs = scores.numbers.get((other.label, encoder, attack))
        if ours is not None and theirs is not None:
            points[encoder] = round(ours.value - theirs.value, 3)
    return points


def method_of(record: Record, methods: Iterable[Method]) -> Method | None:
    """Return the method that a record is about: the one that names the most options of it."""
    fitting = [method for method in methods if method.fits(record)]
    return max(fitting, key=lambda method: len(method.options), default=None)


@dataclass(frozen=True)
class Judged:
    """An ordering of a paper, tested on a board.

    Attributes:
        ordering: the ordering.
        rows: labels of the two rows on the board, the one that should be higher first.
        seeds: number of seeds of each of the two rows.
        examples: number of test examples.
        compared: the two rows, compared over seeds and examples.
        corrected: its p-value, corrected by Holm over all tests of the board. None: a victim of
            one of the rows has not learned the task, so nothing was tested.
    """

    ordering: Ordering
    rows: tuple[str, str]
    seeds: tuple[int, int]
    examples: int
    compared: Pair
    corrected: float | None

    @property
    def difference(self) -> float:
        """Accuracy of the first row minus that of the second: means over the seeds."""
        return self.compared.difference

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``difference``, that of ``robench compare``; it is not corrected."""
        return self.compared.interval

    @property
    def verdict(self) -> Verdict:
        """Whether it holds: the corrected test tells the two rows apart, in this direction."""
        if self.corrected is None:
            return "not judged"
        if self.corrected > LEVEL:
            return "cannot be told"
        return "holds" if self.difference > 0 else "does not hold"

    def shares_answers(self, other: Judged) -> bool:
        """Return whether another board tested the same ordering on a training of each row.

        Then the two verdicts are not independent: the same victims gave the same answers.
        """
        mine, theirs = self.compared, other.compared
        return self.ordering == other.ordering and all(
            set(one.outcomes) & set(two.outcomes)
            for one, two in ((mine.first, theirs.first), (mine.second, theirs.second))
        )


def judge_orderings(scores: PaperScores, records: Sequence[Record]) -> list[Judged]:
    """Test the orderings of a paper on the records of one board.

    An ordering is left out where the board lacks one of the two rows under the attack, or where
    several rows of the board stand for one method. It is not tested, and no test is counted, where
    a health check found that a victim of one of the rows has not learned the task.

    Args:
        scores: what the paper reports.
        records: records that share a table, without errors.
    """
    outcomes = _outcomes(records, scores.methods)
    found: list[tuple[Ordering, tuple[str, str], Pair]] = []
    for ordering in orderings(scores)[0]:
        first = outcomes.get((ordering.higher.label, ordering.attack), {})
        second = outcomes.get((ordering.lower.label, ordering.attack), {})
        ours, theirs = _only_row(first), _only_row(second)
        if ours is not None and theirs is not None:
            drawn = resample([_by_seed(first), _by_seed(second)])
            found.append((ordering, (ours, theirs), Pair(*drawn)))
    unlearned = {record.row for record in records if _has_not_learned(record)}
    tested = [each for each in found if not unlearned & set(each[1])]
    p_values = iter(holm([pair.p_value for _, _, pair in tested]))
    return [
        Judged(
            ordering,
            rows,
            (len(pair.first.outcomes), len(pair.second.outcomes)),
            pair.first.examples,
            pair,
            None if unlearned & set(rows) else next(p_values),
        )
        for ordering, rows, pair in found
    ]


def _has_not_learned(record: Record) -> bool:
    """Return whether a health check found that the victim does no better than guessing."""
    return any(finding.split(":")[0] in NOT_LEARNED for finding in record.victim.findings)


def _by_seed(outcomes: Outcomes) -> list[str]:
    """Return the outcomes of one row in the order of its seeds."""
    return [outcomes[place] for place in sorted(outcomes)]


def _outcomes(
    records: Iterable[Record], methods: Sequence[Method]
) -> dict[tuple[str, str], Outcomes]:
    """Return (label of the method, attack) -> outcomes. Those without an attack are of CLEAN."""
    found: dict[tuple[str, str], Outcomes] = {}
    for record in sorted(records, key=lambda each: each.attack.label):
        method = method_of(record, methods)
        if method is None:
            continue
        place = record.row, record.search.seed
        found.setdefault((method.label, record.attack.label), {})[place] = record.outcomes
        clean = right_without_attack(record.outcomes)
        found.setdefault((method.label, CLEAN), {}).setdefault(place, clean)
    return found


def _only_row(outcomes: Outcomes) -> str | None:
    """Return the label of the row, if there is exactly one."""
    rows = {row for row, _ in outcomes}
    return rows.pop() if len(rows) == 1 else None
