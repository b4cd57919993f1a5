"""Accuracy for the examples of each label, and the rows that are no better than one answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from robench.records.by_label import LabelCounts
from robench.records.columns import Columns, listed
from robench.records.marks import ABSENT
from robench.records.percent import percent
from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap
from robench.records.statistics import Score

_ROUNDING = 1e-9
"""Shares of examples that differ by less are equal; n would have to be larger than a billion."""


@dataclass(frozen=True)
class LabelRow:
    """What a row gets on the examples of one label. Shares lie in [0, 1], as means over the seeds.

    Attributes:
        row: label of the row.
        label: name of the label.
        examples: number of judged examples of this label.
        answered: share of all judged examples for which the row answers this label without an
            attack.
        clean: share of the label's examples that are right without an attack; None where there is
            no such example.
        under: label of an attack -> share of the label's examples that are right under it.
    """

    row: str
    label: str
    examples: int
    answered: float
    clean: float | None
    under: Mapping[str, float | None]


def label_rows(records: Iterable[Record]) -> list[LabelRow]:
    """Return one line for each row and label, in the order of the rows and of the labels.

    Left out are rows of which a record has errors or does not count its labels, and rows whose
    records do not have the same labels and examples. So is an attack that searches for nothing, and
    an attack without a record of each seed of the row.
    """
    rows: dict[str, list[Record]] = {}
    for record in records:
        rows.setdefault(record.row, []).append(record)
    whole = {
        row: members
        for row, members in sorted(rows.items())
        if all(each.by_label is not None and not each.counts.error for each in members)
        and len({tuple((each.label, each.examples) for each in _labels(r)) for r in members}) == 1
    }
    return [line for row, members in whole.items() for line in _of_row(row, members)]


def label_table(records: Sequence[Record], columns: Columns) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells of the table; the cells are percentages.

    Args:
        records: the records of a table.
        columns: its columns. Those without any record here are left out.
    """
    found = label_rows(records)
    shown = [
        (attack, heading)
        for attack, heading in zip(columns.attacks, columns.headings, strict=True)
        if any(attack in each.under for each in found)
    ]
    headings = ["defense", "label", "examples", "answered", "clean accuracy"]
    body = [
        [
            each.row,
            each.label,
            str(each.examples),
            percent(each.answered),
            *map(_share, (each.clean, *(each.under.get(attack) for attack, _ in shown))),
        ]
        for each in found
    ]
    return [*headings, *(heading for _, heading in shown)], body


def _share(share: float | None) -> str:
    return ABSENT if share is None else percent(share)


def left_out_notes(records: Iterable[Record]) -> list[str]:
    """Return a sentence about the rows that the table leaves out; none if it leaves out all."""
    records = list(records)
    shown = {each.row for each in label_rows(records)}
    missing = sorted({each.row for each in records} - shown)
    if not shown or not missing:
        return []
    return [
        f"Not counted by label: {listed(missing)}. A record of such a row has an error, an older "
        "robench made it, or it has other labels than the others."
    ]


def _of_row(row: str, records: Sequence[Record]) -> list[LabelRow]:
    seeds = {record.search.seed: record for record in records}
    attacks: dict[str, dict[int, Record]] = {}
    for record in records:
        if record.attack.searches:
            attacks.setdefault(record.attack.label, {})[record.search.seed] = record
    complete = {name: found for name, found in attacks.items() if found.keys() == seeds.keys()}
    first = _labels(records[0])
    return [
        LabelRow(
            row=row,
            label=each.label,
            examples=each.examples,
            answered=fmean(
                _labels(record)[place].answered / record.counts.n for record in seeds.values()
            ),
            clean=_mean(seeds.values(), place, "right"),
            under={
                name: _mean(found.values(), place, "robust") for name, found in complete.items()
            },
        )
        for place, each in enumerate(first)
    ]


def _labels(record: Record) -> tuple[LabelCounts, ...]:
    return record.by_label or ()


def _mean(records: Iterable[Record], place: int, name: str) -> float | None:
    """Return a count of a label as a share of its examples, the mean over the records."""
    found = [_labels(record)[place] for record in records]
    if not all(each.examples for each in found):
        return None
    return fmean(getattr(each, name) / each.examples for each in found)


def constant_notes(rows: Sequence[DefenseRow], records: Iterable[Record]) -> list[str]:
    """Return a sentence about the rows that are no better than a constant answer, if there are any.

    Args:
        rows: the rows of a table.
        records: its records, which are about the same examples.
    """
    counted = next((each for each in records if each.by_label is not None), None)
    if counted is None:
        return []
    best = max(_labels(counted), key=lambda each: each.examples)
    share = best.examples / counted.counts.n
    no_more = {
        "the worst case": _no_more(share, {row.defense: row.worst for row in rows}),
        "the clean accuracy": _no_more(share, {row.defense: row.clean for row in rows}),
    }
    found = [f"{what} of {names}" for what, names in no_more.items() if names]
    if not found:
        return []
    return [
        f"Always answering '{best.label}' would be right on {best.examples} of "
        f"{counted.counts.n} examples ({percent(share)} %), under every attack. That is at least "
        f"as much as {' and '.join(found)}."
    ]


def _no_more(share: float, scores: Mapping[str, Score | Gap]) -> str:
    """Return the rows whose mean is not above ``share``, in words; empty if there is none."""
    # A mean over seeds is a sum of floats, which may lie beside the share that it equals.
    names = [
        row
        for row, score in scores.items()
        if isinstance(score, Score) and score.mean <= share + _ROUNDING
    ]
    if len(names) == len(scores) > 1:
        return "every row"
    return listed(names) if names else ""
