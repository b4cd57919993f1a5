"""One self-contained page of a run: its tables, charts, commands and examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from robench._base.errors import RobenchError, UsageError
from robench._base.escaping import Markdown
from robench.records import certified_table
from robench.records.certificate_files import find_certificates
from robench.records.columns import run_columns
from robench.records.comparable import Admitted, comparable_groups, newest_that_agree
from robench.records.marks import Marks
from robench.records.meanings import meanings_of_run
from robench.records.notes import synthetic_notice
from robench.records.paired import compare_rows
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk, find_records
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.run_folder import RunFolder
from robench.records.sandwich import Sandwich, sandwiches
from robench.records.shown_records import shown_records
from robench.records.transfer_flags import Transferred, read_transferred
from robench.records.trial_marks import checked_marks
from robench.site.example_data import NO_EXAMPLES, read_examples
from robench.site.pages import Frame, about_line, table_charts
from robench.site.row_pages import row_charts, row_page
from robench.site.sections import anchor, split
from robench.site.tables import Table, checked_files, row_views, score_columns, slug
from robench.site.trainings import training_page

MOST_EXAMPLES: Final = 20
"""Number of adversarial examples in a report, unless the user says another one."""


@dataclass(frozen=True)
class Report:
    """The page of a run.

    Attributes:
        page: its HTML.
        problems: sentences about what is left out.
    """

    page: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """What the folder of a run holds."""

    folder: RunFolder
    on_disk: RecordsOnDisk
    marks: Marks
    transferred: Transferred
    sandwiches: tuple[Sandwich, ...]


def report(run: Path, examples: int = MOST_EXAMPLES) -> Report:
    """Make the page of the run in the folder ``run``.

    Args:
        run: the folder that ``robench evaluate`` wrote.
        examples: number of adversarial examples.

    Raises:
        UsageError: the folder holds no record.
        RobenchError: no record of it can be read.
    """
    found = _find(run)
    problems = [*found.on_disk.damaged.values()]
    tables = tables_of(found)
    shown = read_examples([run], examples) if examples else NO_EXAMPLES
    trainings = training_page([run])
    # A damaged record is named once, and both readers name it.
    problems = list(dict.fromkeys([*problems, *shown.problems, *trainings.problems]))
    page = Frame(made_by="robench report", inline=True).page(
        "report.html",
        "report",
        f"Report of {run.resolve().name}",
        tables=[_table_values(table) for table in tables],
        trainings=trainings,
        examples=shown.found,
        problems=problems,
    )
    return Report(page, tuple(problems))


def _find(run: Path) -> _Found:
    folder = RunFolder(run)
    on_disk = find_records(folder.records)
    if not on_disk.records and on_disk.damaged:
        raise RobenchError(on_disk.damage(run))
    if not on_disk.records:
        raise UsageError(
            f"There are no results in '{run}': {folder.records} holds no record. Name the folder "
            "that 'robench evaluate' wrote with --out."
        )
    certificates = find_certificates(folder.certificates).certificates
    made = sandwiches(certificates.values(), on_disk.records.values())
    return _Found(
        folder,
        on_disk,
        checked_marks(folder, on_disk.records),
        read_transferred(folder.transfer),
        tuple(made),
    )


def tables_of(found: _Found) -> list[Table]:
    """Return the tables of a run, one for each group of records that compare."""
    known = shown_records(found.on_disk.records)
    twins = [each for each in known.values() if each.protocol.unknown == "forbidden"]
    groups = comparable_groups(known)
    return [
        _table(title, newest_that_agree(group), found, twins) for title, group in groups.items()
    ]


def _table(title: str, admitted: Admitted, found: _Found, twins: list[Record]) -> Table:
    records = [*admitted.records.values(), *admitted.failed.values()]
    columns = run_columns(records)
    rows = build_rows(records, columns.attacks, (), columns.worst_over)
    about = [each for each in found.sandwiches if _belongs(each, records)]
    lines = section(
        columns, admitted, variants=twins, transferred=found.transferred, marks=found.marks
    )
    lines += certified_table.markdown(about)
    lines += [meanings_of_run()]
    return Table(
        name=slug(anchor(title)),
        title=title,
        about=Markdown(""),
        columns=columns,
        admitted=admitted,
        rows=rows,
        compared=compare_rows(rows),
        marks=found.marks,
        checked=checked_files(found.folder.records, found.marks),
        sandwiches=about,
        split=split(lines, label=f"{title}: ", shown_above=synthetic_notice(records)),
    )


def _belongs(each: Sandwich, records: list[Record]) -> bool:
    """Return whether a certificate is about a victim of the table."""
    return any(record.victim.sha256 == each.certificate.victim.sha256 for record in records)


def _table_values(table: Table) -> dict[str, Any]:
    """Return what the template shows of a table; ids are distinct on the page."""
    return {
        "id": table.name,
        "title": table.title,
        "what": about_line(table),
        "synthetic": table.synthetic,
        "notes": table.split.notes,
        "columns": score_columns(table.columns),
        "searches": bool(table.columns.worst_over),
        "rows": row_views(table),
        "pages": {row.defense: f"#{table.name}-{slug(row.defense)}" for row in table.rows},
        "charts": [chart.under(table.name) for chart in table_charts(table)],
        "sections": table.split.sections,
        "details": [
            {
                "id": f"{table.name}-{slug(row.defense)}",
                "label": row.defense,
                "page": row_page(table, row),
                "charts": [
                    chart.under(f"{table.name}-{slug(row.defense)}")
                    for chart in row_charts(table, row)
                ],
            }
            for row in table.rows
        ],
    }
