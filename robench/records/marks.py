"""Which rows of a table ``robench verify`` has checked, in words for the readers of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from robench._base.escaping import TEXT, Markdown, markdown
from robench.records.comparable import Admitted
from robench.records.record import Record
from robench.records.verified import read_verified, verified_names

HEADING: Final = "checked"
"""Heading of the column."""
VERIFIED, CLAIMED, ABSENT = "verified", "claimed", "—"
"""Cells of the column; the last one is that of a row without records."""
MEANING: Final = Markdown(
    "**Verified**: somebody ran `robench verify` on all records of the row. It asked the victims "
    "again about every text, and it repeated a random share of the searches. Everything agreed. "
    "**Claimed**: this was not done, or not for everything. Neither word says how a victim was "
    "trained."
)
"""The sentence below the table."""
MOST_NAMED: Final = 3
"""Records below a table on a terminal of which each is named."""


@dataclass(frozen=True)
class Marks:
    """What a folder of records says of its records.

    Attributes:
        names: files of the records that are verified as they are now.
        problem: why ``verified.json`` cannot be read, or None.
        trials: file of a record -> why its trials do not show that it is right. The tables of a
            run know it (``trial_marks``); a board has no trials beside it.
    """

    names: frozenset[str] = frozenset()
    problem: str | None = None
    trials: Mapping[str, str] = field(default_factory=dict)

    def of_rows(self, admitted: Admitted) -> dict[str, str]:
        """Return label of a row -> its mark. All records of a verified row are verified."""
        marks: dict[str, str] = {}
        for records in (admitted.records, admitted.failed):
            for name, record in records.items():
                mark = VERIFIED if name in self.names else CLAIMED
                marks[record.row] = mark if marks.get(record.row, mark) == mark else CLAIMED
        return marks

    def notes(self, admitted: Admitted) -> list[Markdown]:
        """Return the sentences below a table in Markdown."""
        problem = [] if self.problem is None else [f"No row counts as verified: {self.problem}"]
        said = [*problem, *self._partly_verified(admitted), *self._trial_lines(admitted)]
        return [MEANING, *(markdown(each, TEXT) for each in said)]

    def lines(self, admitted: Admitted) -> list[str]:
        """Return the sentences below a table on a terminal, which has no column for the marks."""
        rows = self.of_rows(admitted)
        by_mark = {
            mark: [row for row, found in rows.items() if found == mark]
            for mark in (VERIFIED, CLAIMED)
        }
        verified, claimed = (", ".join(by_mark[mark]) for mark in (VERIFIED, CLAIMED))
        lines = []
        if not rows:
            return []
        if not claimed:
            lines.append("Checked: all rows are verified by 'robench verify'.")
        elif not verified:
            lines.append(f"Checked: all rows are claimed; {_what_checks(admitted)}")
        else:
            lines.append(f"Checked: verified by 'robench verify': {verified}; claimed: {claimed}.")
        if self.problem is not None:
            lines.append(f"No row counts as verified: {self.problem}")
        return [*lines, *self._partly_verified(admitted), *self._trial_lines(admitted)]

    def _partly_verified(self, admitted: Admitted) -> list[str]:
        """Return a sentence that names the claimed cells of rows with verified ones, or nothing."""
        records = {**admitted.records, **admitted.failed}
        begun = {record.row for name, record in records.items() if name in self.names}
        cells = [
            _cell(record)
            for name, record in records.items()
            if record.row in begun and name not in self.names
        ]
        if not cells:
            return []
        return [f"Only claimed, in rows that have verified cells as well: {_listed(cells)}."]

    def _trial_lines(self, admitted: Admitted) -> list[str]:
        """Return a sentence for each problem with trials, with the cells that have it."""
        records = {**admitted.records, **admitted.failed}
        by_problem: dict[str, list[str]] = {}
        for name, record in records.items():
            if name in self.trials:
                by_problem.setdefault(self.trials[name].rstrip("."), []).append(_cell(record))
        lines = []
        for problem, cells in list(by_problem.items())[:MOST_NAMED]:
            lines.append(f"Only a claim: {_listed(cells)}: {problem}.")
        rest = sum(map(len, list(by_problem.values())[MOST_NAMED:]))
        if rest:
            lines.append(f"Only claims for a reason of this kind: {rest} more cells.")
        return lines


def _cell(record: Record) -> str:
    return f"{record.row} under {record.attack.label}, seed {record.search.seed}"


def _listed(cells: Sequence[str]) -> str:
    """Return the first cells, and how many more there are."""
    more = f"; and {len(cells) - MOST_NAMED} more" if len(cells) > MOST_NAMED else ""
    return f"{'; '.join(cells[:MOST_NAMED])}{more}"


def _what_checks(admitted: Admitted) -> str:
    """Return what 'robench verify' can do for rows that are all claimed."""
    kinds = {record.victim.kind for record in admitted.records.values()}
    if "trained" in kinds or not kinds:
        return "'robench verify' checks them."
    return "'robench verify' checks their files, but cannot ask a model that robench did not train."


NO_MARKS: Final = Marks()


def marks_in(folder: Path, records: Mapping[str, Record]) -> Marks:
    """Return the marks of a folder of records.

    Args:
        folder: the folder.
        records: name of a record's file in it -> the record, with which its entry must agree.
    """
    problem = read_verified(folder).problem
    return Marks(verified_names(folder, records, records), problem)
