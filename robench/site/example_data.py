"""Adversarial examples from the folders of runs, bounded in number and length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robench._base.errors import RobenchError, UsageError
from robench.records.comparable import replaced
from robench.records.marked_text import Piece
from robench.records.record import Record
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.shown_records import shown_part
from robench.records.trial_choice import TrialFilter, pick
from robench.records.trial_plain import cell_words, fields_of
from robench.records.trial_texts import TrialText, join_trials
from robench.records.trial_words import cost_words, outcome_words
from robench.search.attack import Verdict

CONTEXT: Final = 120
"""Characters around a change that a page shows of a long text."""
LONG: Final = 900
"""Characters of a text that is shown as a whole."""


@dataclass(frozen=True)
class Field:
    """A field of an example: its name, empty for the only one, and its pieces."""

    name: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Example:
    """An adversarial example.

    Attributes:
        row, attack: labels of its cell, and ``task`` and ``victim`` say which one it is.
        outcome: label and predictions.
        cost: changed words and queries.
        cell: the cell and the id of the example.
        fields: the texts.
    """

    row: str
    attack: str
    task: str
    victim: str
    outcome: str
    cost: str
    cell: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Examples:
    """Examples of runs.

    Attributes:
        found: the examples; the most telling ones of each cell come first.
        problems: sentences about cells whose trials cannot be shown.
    """

    found: Sequence[Example] = ()
    problems: Sequence[str] = ()

    def about(self, records: Iterable[Record], most: int) -> list[Example]:
        """Return the first examples of the victims of ``records``."""
        victims = {record.victim.sha256 for record in records}
        return [each for each in self.found if each.victim in victims][:most]


NO_EXAMPLES: Final = Examples()


def read_examples(runs: Sequence[Path], most: int) -> Examples:
    """Return fooled examples of runs, the same number of each cell.

    Args:
        runs: folders that ``robench evaluate`` wrote.
        most: number of examples in all.

    Raises:
        UsageError: a folder holds no record.
    """
    cells: list[tuple[RunFolder, Record]] = []
    problems: list[str] = []
    for run in runs:
        folder = RunFolder(run)
        on_disk = find_records(folder.records)
        if not on_disk.records and not on_disk.damaged:
            raise UsageError(
                f"There are no results in '{run}': {folder.records} holds no record. Name the "
                "folder that 'robench evaluate' wrote with --out."
            )
        problems += on_disk.damaged.values()
        older = replaced(on_disk.records)
        cells += [(folder, each) for name, each in on_disk.records.items() if name not in older]
    cells = [(folder, each) for folder, each in cells if each.counts.fooled]
    share = max(1, most // len(cells)) if cells else 0
    found: list[Example] = []
    # One seed of a row shows as much as three, so other seeds come last.
    for folder, record in sorted(cells, key=lambda each: each[1].search.seed):
        if len(found) >= most:
            break
        try:
            found += _of_cell(folder, record, share)
        except RobenchError as error:
            problems.append(str(error))
    return Examples(found[:most], problems)


def _of_cell(folder: RunFolder, record: Record, number: int) -> list[Example]:
    trials = pick(join_trials(folder, record), TrialFilter((Verdict.FOOLED,)), number)
    shown = shown_part(record)
    return [_example(trial, shown) for trial in trials]


def _example(trial: TrialText, record: Record) -> Example:
    fields = tuple(Field(name, tuple(excerpt(parts))) for name, parts in fields_of(trial))
    return Example(
        row=record.row,
        attack=record.attack.label,
        task=trial.task,
        victim=record.victim.sha256,
        outcome=outcome_words(trial),
        cost=cost_words(trial),
        cell=cell_words(trial),
        fields=fields,
    )


def excerpt(parts: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of a text; of a long one, the changes with what stands around them."""
    if sum(len(piece.old) for piece in parts) <= LONG:
        return list(parts)
    shown = []
    for place, piece in enumerate(parts):
        if piece.changed or len(piece.old) <= 2 * CONTEXT:
            shown.append(piece)
            continue
        head = piece.old[:CONTEXT] if place else ""
        tail = piece.old[-CONTEXT:] if place < len(parts) - 1 else ""
        text = f"{head} […] {tail}".strip() if len(parts) > 1 else f"{piece.old[:LONG]} […]"
        shown.append(Piece(text, text))
    return shown
