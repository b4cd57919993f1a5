"""The numbers of a comparison of two rows."""

from __future__ import annotations

from dataclasses import dataclass

from robench.records.compared_curves import ComparedCurve
from robench.records.pairing import Measure


@dataclass(frozen=True)
class Differing:
    """An example that only one of the two rows has right, by the main measure.

    Attributes:
        id: id of the example; None if the run's trials are missing.
        position: position among the common examples, from 0.
        first: number of seeds with which only the first row has it right.
        second: number of seeds with which only the second row has it right.
        text: its text, the attackable field; None if the run does not hold the texts.
    """

    id: str | None
    position: int
    first: int
    second: int
    text: str | None = None


@dataclass(frozen=True)
class Substitution:
    """A substitution that fooled one row on examples that the other row withstands.

    Attributes:
        original: the word.
        substitute: what replaced it.
        count: number of examples, added over the seeds.
    """

    original: str
    substitute: str
    count: int


@dataclass(frozen=True)
class ComparedRows:
    """Two rows on the same examples.

    Attributes:
        first: name of the first row.
        second: name of the second row.
        task: name of the task.
        measures: the clean accuracy, each attack that both have, and the worst case over them if
            there are several. A measure without a number is left out, and a note says why.
        differing: the examples that made the difference in ``main``, the clearest ones first.
        fooled_second: substitutions that fooled only the second row, the most frequent ones first.
        fooled_first: substitutions that fooled only the first row.
        warnings: differences of the two rows other than the victims, and what was left out.
        notes: sentences that explain the numbers.
        curves: accuracy under each attack by queries and by changed words, where both rows have
            it.
    """

    first: str
    second: str
    task: str
    measures: tuple[Measure, ...]
    differing: tuple[Differing, ...]
    fooled_second: tuple[Substitution, ...]
    fooled_first: tuple[Substitution, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    curves: tuple[ComparedCurve, ...] = ()

    @property
    def main(self) -> Measure:
        """The measure of the sentence: the worst case, else the attack, else clean accuracy."""
        return self.measures[-1]
