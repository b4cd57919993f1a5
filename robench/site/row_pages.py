"""What the page of a row shows: scores, checks, curves, records and configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robench.records.columns import Columns
from robench.records.curves import CURVES
from robench.records.flags import find_flags
from robench.records.marks import CLAIMED, VERIFIED
from robench.records.notes import health_lines
from robench.records.percent import percent
from robench.records.rates import rates
from robench.records.record import Record
from robench.records.render import ABSENT, curve_table
from robench.records.rows import DefenseRow
from robench.records.verified import VerifiedRecord
from robench.site.again import commands_of, remarks_of
from robench.site.charts import CURVE_WORDS, Chart, certified, curves
from robench.site.example_data import Example
from robench.site.tables import Table, cell_of

SCORE_HEADINGS = ("column", "accuracy", "spread and 95 % interval")
RECORD_HEADINGS = (
    "attack",
    "seed",
    "checked",
    "wrong",
    "fooled",
    "held",
    "proved",
    "error",
    "under attack, %",
    "success rate, %",
    "queries per attacked example",
    "file",
)


@dataclass(frozen=True)
class PlainTable:
    """A table without sorting: its caption, headings and cells."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class RowPage:
    """What the page of a row shows.

    Attributes:
        score_headings, scores: the scores of the row.
        findings: what checks found, in sentences.
        curves: the curves as tables.
        examples: adversarial examples, where trials are at hand.
        commands: commands that make the records again; ``remarks`` are about them.
        record_headings, records: the records.
        options: the defense and each attack with all its options.
    """

    score_headings: Sequence[str]
    scores: Sequence[Sequence[str]]
    findings: Sequence[str]
    curves: Sequence[PlainTable]
    examples: Sequence[Example]
    commands: Sequence[str]
    remarks: Sequence[str]
    record_headings: Sequence[str]
    records: Sequence[Sequence[str]]
    options: Sequence[Sequence[str]]


def row_page(table: Table, row: DefenseRow, examples: Sequence[Example] = ()) -> RowPage:
    """Return what the page of ``row`` shows."""
    named = table.of_row(row.defense)
    records = list(named.values())
    flags = [each for each in find_flags(table.records.values()) if each.row == row.defense]
    return RowPage(
        score_headings=SCORE_HEADINGS,
        scores=_scores(row, table.columns),
        findings=[*health_lines(records), *(flag.sentence for flag in flags)],
        curves=_curve_tables(records),
        examples=examples,
        commands=commands_of(records),
        remarks=remarks_of(records) if records else ["There is no record of this row yet."],
        record_headings=RECORD_HEADINGS,
        records=[_record(name, named[name], table.checked) for name in _ordered(named)],
        options=_options(records),
    )


def row_charts(table: Table, row: DefenseRow) -> list[Chart]:
    """Return the charts of a row's page: its curves and its certificates."""
    records = list(table.of_row(row.defense).values())
    about = [each for each in table.sandwiches if each.certificate.row == row.defense]
    found = [*(curves(records, name, "attack") for name in CURVES), certified(about)]
    return [each for each in found if each is not None]


def _scores(row: DefenseRow, columns: Columns) -> list[list[str]]:
    named = [("clean accuracy", row.clean)]
    named += [(each, row.under[each]) for each in columns.attacks]
    named += [(columns.worst_heading, row.worst)]
    cells = [(name, cell_of(score)) for name, score in named]
    return [[name, cell.text, cell.detail] for name, cell in cells]


def _curve_tables(records: Sequence[Record]) -> list[PlainTable]:
    found = []
    for name in CURVES:
        headings, body = curve_table(name, records)
        if body:
            # The first column is the row, which is the page.
            title = CURVE_WORDS[name][0]
            found.append(PlainTable(f"{title}, in %", headings[1:], [line[1:] for line in body]))
    return found


def _ordered(records: Mapping[str, Record]) -> list[str]:
    return sorted(records, key=lambda name: (records[name].attack.label, records[name].search.seed))


def _record(name: str, record: Record, checked: Mapping[str, VerifiedRecord]) -> list[str]:
    counts, found = record.counts, rates(record)
    under, success = found["accuracy_under_attack"], found["attack_success_rate"]
    attacked = counts.n - counts.wrong
    numbers = (counts.wrong, counts.fooled, counts.held, counts.held_proved, counts.error)
    return [
        record.attack.label,
        str(record.search.seed),
        _checked(checked.get(name)),
        *map(str, numbers),
        "error" if under is None else percent(under),
        ABSENT if success is None else percent(success),
        f"{record.cost.asked / attacked:,.0f}" if attacked else ABSENT,
        name,
    ]


def _checked(entry: VerifiedRecord | None) -> str:
    if entry is None:
        return CLAIMED
    day = entry.checked.date().isoformat()
    return f"{VERIFIED} {day}: {entry.fooled} texts asked, {entry.searched} searches repeated"


def _options(records: Sequence[Record]) -> list[list[str]]:
    """Return a line with all options for the defense and for each attack that has any.

    The label of the defense is the heading of the page, so its name is enough here.
    """
    found: dict[str, dict[str, str]] = {}
    for record in records:
        plugins = [(record.attack.label, record.attack.options)]
        if record.defense is not None:
            plugins.insert(0, (record.defense.name, record.defense.options))
        for label, options in plugins:
            for name, value in options.items():
                found.setdefault(label, {}).setdefault(name, json.dumps(value))
    return [
        [label, ", ".join(f"{name} = {value}" for name, value in options.items())]
        for label, options in found.items()
    ]
