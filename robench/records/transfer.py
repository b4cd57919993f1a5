"""Transfer: every victim judged on the adversarial texts that were made for the others.

A text that fools a victim and was made for another one shows that its own attack missed something.
Where that happens often, the attack on the victim is perhaps masked: its scores or gradients lead
the search astray (Carlini et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from robench.records.record import Record, count
from robench.records.shown_records import shown_part
from robench.records.statistics import (
    BlockedCell,
    PairedTest,
    accuracy_under_attack,
    clean_accuracy,
    compare,
    holm,
    wilson,
)
from robench.records.trial_choice import ChosenTrials
from robench.records.trial_texts import TrialText
from robench.search.attack import Verdict

SIGNIFICANT = 0.05
"""Below this corrected p-value, weaker under transferred texts than its own attack is a flag."""

Answers = Callable[[Sequence[Mapping[str, str]]], Sequence[str]]
"""The names of a victim's labels for texts, each given as all its fields."""


@dataclass(frozen=True)
class AttackedVictim:
    """One cell of a run: a victim under an attack, with its trials.

    Attributes:
        record: the record.
        trials: its trials with their texts, in the order of the outcomes.
        name: the row, with the seed where another seed has the same row.
    """

    record: Record
    trials: tuple[TrialText, ...]
    name: str

    @cached_property
    def texts(self) -> dict[str, dict[str, str]]:
        """Id -> all fields of the text that fooled this victim."""
        return {
            trial.id: {**trial.fields, trial.attackable: trial.adversarial_text}
            for trial in self.trials
            if trial.verdict == Verdict.FOOLED and trial.adversarial_text is not None
        }


@dataclass(frozen=True)
class TransferGroup:
    """The victims that one attack was tried on under equal conditions.

    Attributes:
        task: name of the task, with the test set where it is another.
        attack: label of the attack.
        protocol: name of the protocol.
        victims: the cells.
    """

    task: str
    attack: str
    protocol: str
    victims: tuple[AttackedVictim, ...]


@dataclass(frozen=True)
class TransferCell:
    """One victim on the texts that were made for one source.

    Attributes:
        source: name of the victim that the texts were made for.
        n: number of these texts whose example the victim was judged on.
        right: number of texts that the victim classifies right.
    """

    source: str
    n: int
    right: int

    @property
    def accuracy(self) -> float | None:
        """The share of right answers, or None without texts."""
        return self.right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The accuracy's 95 % Wilson interval, or None without texts."""
        return wilson(self.right / self.n, self.n) if self.n else None


@dataclass(frozen=True)
class TransferRow:
    """One victim on the texts of all sources.

    Attributes:
        victim: its cell.
        cells: one for each source, itself included.
        transfer: one letter for each of its examples, as in ``Record.outcomes``: W where the clean
            text is wrong, F where a text of another source fools it, H otherwise, E where the
            record has an error.
        corrected: p-value of ``paired``, corrected by Holm over all rows of a run; None where the
            record has an error, and before ``correct`` has seen all rows.
    """

    victim: AttackedVictim
    cells: tuple[TransferCell, ...]
    transfer: str
    corrected: float | None = None

    @property
    def clean(self) -> float | None:
        """Clean accuracy; None where an example ended in an error."""
        return _rate(clean_accuracy, self.victim.record.outcomes)

    @property
    def own(self) -> float | None:
        """Accuracy under its own attack; None where an example ended in an error."""
        return _rate(accuracy_under_attack, self.victim.record.outcomes)

    @property
    def transferred(self) -> float | None:
        """Accuracy under the texts of all other sources; None where the record has an error."""
        return _rate(accuracy_under_attack, self.transfer)

    @property
    def paired(self) -> PairedTest | None:
        """Own attack against transfer on the same examples; None where the record has an error."""
        try:
            return compare(self.victim.record.outcomes, self.transfer)
        except BlockedCell:
            return None

    @property
    def missed(self) -> int | None:
        """Number of examples that its own attack left standing and a transferred text fools."""
        return None if self.paired is None else self.paired.only_first

    @property
    def own_right(self) -> int:
        """Number of its own adversarial texts that it classifies right now; 0 is expected."""
        return sum(cell.right for cell in self.cells if cell.source == self.victim.name)

    @property
    def flag(self) -> str | None:
        """One sentence where the victim is weaker under transfer than under its own attack."""
        paired, own, moved = self.paired, self.own, self.transferred
        if paired is None or own is None or moved is None or self.corrected is None:
            return None
        if paired.only_first <= paired.only_second or self.corrected >= SIGNIFICANT:
            return None
        return (
            f"'{self.victim.name}' holds {100 * moved:.1f} % under {self._sources}, and "
            f"{100 * own:.1f} % under {self.victim.record.attack.label} itself "
            f"(McNemar with Holm p {_p(self.corrected)}): its own attack may be masked, so do not "
            "take it for its robustness."
        )

    @property
    def _sources(self) -> str:
        """The texts of others in words; more sources together are a stronger attack."""
        others = sum(cell.n > 0 and cell.source != self.victim.name for cell in self.cells)
        together = "1 other victim" if others == 1 else f"{others} other victims together"
        return f"texts that were made for {together}"


@dataclass(frozen=True)
class TransferTable:
    """The matrix of one group.

    Attributes:
        group: the victims and the attack.
        rows: one for each victim that could be asked.
    """

    group: TransferGroup
    rows: tuple[TransferRow, ...]

    @property
    def flags(self) -> list[str]:
        """The flags of all victims."""
        return [row.flag for row in self.rows if row.flag is not None]


def correct(tables: Iterable[TransferTable]) -> list[TransferTable]:
    """Return the tables of one run with p-values that are corrected for all their rows."""
    known = list(tables)
    tests = [row.paired for table in known for row in table.rows]
    corrected = iter(holm([test.p_value for test in tests if test is not None]))
    return [
        replace(
            table,
            rows=tuple(
                row if row.paired is None else replace(row, corrected=next(corrected))
                for row in table.rows
            ),
        )
        for table in known
    ]


def group_cells(chosen: ChosenTrials) -> list[TransferGroup]:
    """Return the groups with at least two victims, in the order of task and attack.

    The texts of the records are short enough for a page.
    """
    found: dict[tuple[Any, ...], list[tuple[Record, tuple[TrialText, ...]]]] = {}
    start = 0
    for record in chosen.records:
        end = start + len(record.outcomes)
        if record.attack.searches:
            found.setdefault(_conditions(record), []).append(
                (shown_part(record), tuple(chosen.trials[start:end]))
            )
        start = end
    ordered = sorted(found.items(), key=lambda item: str(item[0]))
    return [_group(cells) for _, cells in ordered if len(cells) > 1]


def _conditions(record: Record) -> tuple[Any, ...]:
    """Return what must be equal, so that a text of one cell could have been found in another."""
    surface = record.surface
    return (
        record.task.file_part,
        record.attack.label,
        record.protocol.name,
        record.task.digest,
        (surface.rules, surface.language_model, surface.constrained),
        record.search.budget,
    )


def _group(cells: Sequence[tuple[Record, tuple[TrialText, ...]]]) -> TransferGroup:
    first = cells[0][0]
    records = [record for record, _ in cells]
    victims = tuple(
        AttackedVictim(record, trials, _name(record, records))
        for record, trials in sorted(cells, key=lambda cell: (cell[0].row, cell[0].search.seed))
    )
    return TransferGroup(first.task.file_part, first.attack.label, first.protocol.name, victims)


def _name(record: Record, among: Sequence[Record]) -> str:
    """Return the shortest name of a cell that no other cell has."""
    seed = f"{record.row}, seed {record.search.seed}"
    same_row = [other for other in among if other.row == record.row]
    if len(same_row) == 1:
        return record.row
    if sum(other.search.seed == record.search.seed for other in same_row) == 1:
        return seed
    return f"{seed}, cell {record.cell[:8]}"


def transfer_row(group: TransferGroup, victim: AttackedVictim, answers: Answers) -> TransferRow:
    """Ask one victim about the texts of all sources.

    Args:
        group: the sources.
        victim: one of them.
        answers: asks this victim.
    """
    labels = {trial.id: trial.label for trial in victim.trials}
    asked = [
        (source.name, id_, fields)
        for source in group.victims
        for id_, fields in source.texts.items()
        if id_ in labels
    ]
    found = answers([fields for _, _, fields in asked]) if asked else []
    right = [answer == labels[id_] for answer, (_, id_, _) in zip(found, asked, strict=True)]
    fooled = {
        id_
        for (source, id_, _), fine in zip(asked, right, strict=True)
        if source != victim.name and not fine
    }
    cells = tuple(
        TransferCell(
            source.name,
            sum(name == source.name for name, _, _ in asked),
            sum(
                fine for (name, _, _), fine in zip(asked, right, strict=True) if name == source.name
            ),
        )
        for source in group.victims
    )
    transfer = "".join(
        letter if letter in "WE" else "F" if trial.id in fooled else "H"
        for letter, trial in zip(victim.record.outcomes, victim.trials, strict=True)
    )
    return TransferRow(victim, cells, transfer)


def to_dict(tables: Iterable[TransferTable], problems: Sequence[str]) -> dict[str, Any]:
    """Return transfer tables as plain data for JSON; rates lie in [0, 1]."""
    return {
        "tables": [
            {
                "task": table.group.task,
                "attack": table.group.attack,
                "protocol": table.group.protocol,
                "victims": [_row_dict(row) for row in table.rows],
            }
            for table in tables
        ],
        "left_out": list(problems),
    }


def _row_dict(row: TransferRow) -> dict[str, Any]:
    record = row.victim.record
    return {
        "victim": row.victim.name,
        "row": record.row,
        "seed": record.search.seed,
        "sha256": record.victim.sha256,
        "cell": record.cell,
        "clean_accuracy": row.clean,
        "accuracy_under_attack": row.own,
        "accuracy_under_transfer": row.transferred,
        "missed": row.missed,
        "only_own": None if row.paired is None else row.paired.only_second,
        "p_value": None if row.paired is None else row.paired.p_value,
        "p_value_holm": row.corrected,
        "flag": row.flag,
        "sources": [
            {
                "source": cell.source,
                "texts": cell.n,
                "right": cell.right,
                "accuracy": cell.accuracy,
                "interval": cell.interval,
            }
            for cell in row.cells
        ],
        "transfer": {
            trial.id: letter for trial, letter in zip(row.victim.trials, row.transfer, strict=True)
        },
    }


def _rate(rate: Callable[[Any], float], outcomes: str) -> float | None:
    try:
        return rate(count(outcomes))
    except BlockedCell:
        return None


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
