"""The texts of the user's data: cells become cleaned fields, and the window fits their lengths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from robench._base.bounded_reading import check_length
from robench._base.errors import UsageError
from robench.tasks.frozen import RawRow, normal_form
from robench.tasks.own.choose import Chosen
from robench.tasks.own.tables import Table

_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
WINDOWS = (32, 64, 128, 256, 512)
"""Windows to choose from, in tokens."""


def clean_own(text: str) -> str:
    """Return a text without byte order marks at its ends and with ``<br>`` as a space.

    The published tasks know ``<br />`` only (``robench.tasks.frozen``), which their frozen
    examples need. White space is collapsed as there.
    """
    return normal_form(_LINE_BREAK.sub(" ", text).strip("\ufeff"))


def read_rows(
    table: Table, chosen: Chosen, fields: Sequence[str], labels: Sequence[int | None]
) -> tuple[list[RawRow], tuple[str, ...]]:
    """Return the rows with texts and a label, and remarks about the others.

    Args:
        table: the table.
        chosen: its columns.
        fields: names of the fields, in the order of ``chosen.texts``.
        labels: index of each row's label; None for a row without one.

    Raises:
        UsageError: a cell is no text, or no row is left.
    """
    columns = [table.read(name) for name in chosen.texts]
    rows: list[RawRow] = []
    empty: list[int] = []
    unlabelled = 0
    for row, (label, *cells) in enumerate(zip(labels, *columns, strict=True)):
        texts = [
            _text(table, name, row, cell) for name, cell in zip(chosen.texts, cells, strict=True)
        ]
        if label is None:
            unlabelled += 1
        elif not all(texts):
            empty.append(row)
        else:
            rows.append((dict(zip(fields, texts, strict=True)), label))
    remarks = []
    if unlabelled:
        remarks.append(f"{unlabelled:,} rows of {table.name} have no label (-1) and are left out.")
    if empty:
        remarks.append(
            f"{len(empty):,} rows of {table.name} have an empty text and are left out; the first "
            f"is {table.where(empty[0])}."
        )
    if not rows:
        raise UsageError(f"No row of {table.name} has a text and a label. {' '.join(remarks)}")
    return rows, tuple(remarks)


def _text(table: Table, column: str, row: int, cell: Any) -> str:
    if isinstance(cell, str):
        if not cell.isascii():
            _check_unicode(table, column, row, cell)
        check_length(cell, f"The text in {table.where(row)} (column '{column}')")
        return clean_own(cell)
    if cell is None or cell != cell:
        return ""
    raise UsageError(
        f"Column '{column}' of {table.name} does not hold texts: {table.where(row)} has "
        f"{str(cell)[:40]!r}, a {type(cell).__name__}. Name another one with --text-column."
    )


def _check_unicode(table: Table, column: str, row: int, cell: str) -> None:
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The text in {table.where(row)} (column '{column}') holds {cell[error.start]!a}, half "
            "of a character. Write the whole character, or remove it."
        ) from error


def choose_window(rows: Iterable[RawRow]) -> tuple[int, int]:
    """Return the window in tokens, and the number of words that 95 % of the texts stay below.

    Four tokens for three words and three special tokens are assumed. The smallest of ``WINDOWS``
    that holds 95 % of the texts is taken, or else the largest.
    """
    lengths = sorted(sum(len(text.split()) for text in fields.values()) for fields, _ in rows)
    words = lengths[(len(lengths) * 95 + 99) // 100 - 1]
    tokens = words * 4 / 3 + 3
    return next((window for window in WINDOWS if window >= tokens), WINDOWS[-1]), words
