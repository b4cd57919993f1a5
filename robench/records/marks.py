"""Which rows of a table ``robench verify`` has checked, in words for the readers of the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robench._base.escaping import Markdown, markdown
from robench.records.comparable import Admitted
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


@dataclass(frozen=True)
class Marks:
    """What a folder of records says of its records.

    Attributes:
        names: files of the records that are verified as they are now.
        problem: why ``verified.json`` cannot be read, or None.
    """

    names: frozenset[str] = frozenset()
    problem: str | None = None

    def of_rows(self, admitted: Admitted) -> dict[str, str]:
        """Return label of a row -> its mark. All records of a verified row are verified."""
        marks: dict[str, str] = {}
        for records in (admitted.records, admitted.failed):
            for name, record in records.items():
                mark = VERIFIED if name in self.names else CLAIMED
                marks[record.row] = mark if marks.get(record.row, mark) == mark else CLAIMED
        return marks

    def notes(self) -> list[Markdown]:
        """Return the sentences below a table."""
        if self.problem is None:
            return [MEANING]
        return [MEANING, markdown(f"No row counts as verified: {self.problem}")]


NO_MARKS: Final = Marks()


def marks_in(folder: Path, records: Iterable[str]) -> Marks:
    """Return the marks of a folder of records.

    Args:
        folder: the folder.
        records: names of the record files in it.
    """
    problem = read_verified(folder).problem
    return Marks(verified_names(folder, records), problem)
