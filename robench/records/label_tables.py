"""Accuracy for the examples of each label, and what one constant answer would get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from robench.records.by_label import LabelCounts
from robench.records.percent import percent
from robench.records.record import Record
from robench.records.rows import DefenseRow
from robench.records.statistics import Score


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

    Left out are rows of which a record has errors or does not count its labels. So is an attack
    that searches for nothing, and an attack without a record of each seed of the row.
    """
    rows: dict[str, list[Record]] = {}
    for record in records:
        rows.setdefault(record.row, []).append(record)
    whole = {
        row: members
        for row, members in sorted(rows.items())
        if all(each.by_label is not None and not each.counts.error for each in members)
    }
    return [line for row, members in whole.items() for line in _of_row(row, members)]


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
    """Return a sentence about the rows that one constant answer would beat, if there are any.

    Args:
        rows: the rows of a table.
        records: its records, which are about the same examples.
    """
    counted = next((each for each in records if each.by_label is not None), None)
    if counted is None:
        return []
    best = max(_labels(counted), key=lambda each: each.examples)
    share = best.examples / counted.counts.n
    below = {
        "in the worst case": _below(share, {row.defense: row.worst for row in rows}),
        "without an attack": _below(share, {row.defense: row.clean for row in rows}),
    }
    found = [f"{when} {names}" for when, names in below.items() if names]
    if not found:
        return []
    return [
        f"Always answering '{best.label}' would be right on {best.examples} of "
        f"{counted.counts.n} examples ({percent(share)} %), under every attack. Fewer are right "
        f"{' and '.join(found)}."
    ]


def _below(share: float, scores: Mapping[str, object]) -> str:
    """Return the rows whose mean is below ``share``, in words; empty if there is none."""
    known = {row: score.mean for row, score in scores.items() if isinstance(score, Score)}
    names = [row for row, mean in known.items() if mean < share]
    if len(names) == len(known) > 1:
        return "for every row"
    return f"for {', '.join(names)}" if names else ""
