"""Table: the rows of one file or split of the user, in columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """The rows of one file or split.

    Attributes:
        name: its name in sentences, such as ``"reviews.csv"``.
        columns: names of the columns.
        read: returns the cells of a column, one per row; a missing cell is None or NaN.
        rows: number of rows.
        numbers: the number of each row in sentences. Rows of a csv file are counted from 1 without
            the header; rows of a jsonl file are its lines.
        unit: ``"row"`` or ``"line"``.
        class_names: column -> names of the classes 0, 1, …, where the data say them.
        remarks: sentences about the reading that the user should see.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[str], Sequence[Any]]
    rows: int
    numbers: Sequence[int] = ()
    unit: str = "row"
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """Return where row ``row`` (from 0) stands, such as ``"row 3 of reviews.csv"``."""
        number = self.numbers[row] if self.numbers else row + 1
        return f"{self.unit} {number:,} of {self.name}"
