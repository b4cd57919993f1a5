"""The pages of the reported numbers: one with the numbers alone, one with the boards beside them.

The second page is written by hand but for the part between two marks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from robench._base.bounded_reading import Unreadable, read_text
from robench._base.errors import UsageError
from robench._base.escaping import Markdown, code, markdown, prose
from robench.records.beside import render_beside
from robench.records.record_files import KnownRecords
from robench.records.render import ABSENT, bullets, tabulated
from robench.records.reported import (
    CLEAN,
    Paper,
    Reported,
    ReportedTable,
    load_reported,
)

GENERATED: Final = (
    "<!-- Made by `robench leaderboard` from reported.toml. Edit that file, not this one. -->"
)
BEGIN: Final = "<!-- Made by `robench leaderboard`: begin. Edit reported.toml or the records. -->"
END: Final = "<!-- Made by `robench leaderboard`: end. -->"
COPIED: Final = Markdown(
    "> **Copied from papers, not measured by robench.** The papers' authors measured these "
    "numbers with their own code, encoders and data. No table shows them together with measured "
    "numbers: those are on the boards. Each number stands as the paper prints it, in percent."
)


def reported_pages(path: Path, known: KnownRecords | None = None) -> dict[Path, str]:
    """Return file -> whole content of the pages that are made from a file of reported numbers.

    Args:
        path: the file.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the file is missing or wrong, or its page has no marks.
        RobenchError: see ``render_beside``.
    """
    reported = load_reported(path)
    pages = {path.with_suffix(".md"): render_reported(reported)}
    if reported.page is not None:
        page = Path(os.path.normpath(path.parent / reported.page))
        pages[page] = _with_block(page, render_beside(path, reported, page, known))
    return pages


def render_reported(reported: Reported) -> str:
    """Return the Markdown of the reported numbers alone."""
    lines = [GENERATED, "", "# Numbers that papers report", "", COPIED, ""]
    if reported.page is not None:
        lines += [
            f"[How they compare with what was measured here]({reported.page}) is on another page. "
            "It says what differs, and which of the papers' orderings hold here.",
            "",
        ]
    for paper in reported.papers:
        lines += _paper(paper, [table for table in reported.tables if table.paper == paper.name])
    return "\n".join(lines)


def _paper(paper: Paper, tables: list[ReportedTable]) -> list[str]:
    lines = [f"## {markdown(paper.name)}", ""]
    lines += [f"{markdown(paper.cite)}: {markdown(paper.title)} <{paper.url}>", ""]
    if paper.missing is not None:
        lines += [f"**No numbers.** {prose(paper.missing)}", ""]
    if paper.notes:
        lines += ["What to know about these numbers:", "", *bullets(paper.notes), ""]
    for table in tables:
        lines += _table(table)
    return lines


def _table(table: ReportedTable) -> list[str]:
    columns = "; ".join(
        _column(column.printed, column.attack, column.examples) for column in table.columns
    )
    body = [
        [row.printed, _in_robench(table, place), *row.values]
        for place, row in enumerate(table.rows)
    ]
    headings = ["row", "in robench", *(column.printed for column in table.columns)]
    return [
        f"### {markdown(table.paper)}, {markdown(table.source)}",
        "",
        f"{markdown(table.caption)}. From the {table.where}. Task {code(table.task)}, encoder "
        f"{code(table.encoder)}. Columns: {columns}.",
        "",
        *tabulated(body, headings, "pipe", names=2),
        "",
    ]


def _column(printed: str, attack: str, examples: int | None) -> str:
    what = "clean accuracy" if attack == CLEAN else f"accuracy under {code(attack)}"
    size = "the number of test examples is not said" if examples is None else f"n = {examples}"
    return f"{markdown(printed)} is the {what}, {size}"


def _in_robench(table: ReportedTable, place: int) -> str:
    row = table.rows[place]
    if row.defense is None:
        return ABSENT
    options = ", ".join(f"{name}={str(value).lower()}" for name, value in row.options.items())
    return f"{row.defense}({options})" if options else row.defense


def _with_block(page: Path, block: str) -> str:
    """Return the text of a page with ``block`` between its two marks.

    Raises:
        UsageError: the page cannot be read, or does not have each mark once, in their order.
    """
    try:
        text = read_text(page)
    except Unreadable as error:
        raise UsageError(
            f"Cannot read {page}, which 'page' in the file of reported numbers names: "
            f"{error.reason}."
        ) from error
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end or BEGIN in rest or END in before or END in after:
        raise UsageError(
            f"{page} needs each of these two lines once, in this order: '{BEGIN}' and '{END}'."
        )
    return f"{before}{begin}\n{block}\n\n{end}{after}"
