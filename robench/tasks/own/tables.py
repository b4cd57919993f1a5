"""Tables: csv, tsv, jsonl and parquet files, read into columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import DATA, Unreadable, parse_json
from robench._base.errors import UsageError, first_line
from robench.tasks.own.parquet_files import read_parquet
from robench.tasks.own.table import Table as Table
from robench.tasks.own.text_files import read_text, separator_of, text_lines, uses_quotes

_COLUMNS = 10_000


def read_table(path: Path) -> Table:
    """Read a csv, tsv, jsonl or parquet file, by its suffix.

    Raises:
        UsageError: the file cannot be read, is empty, or holds something else than its name says.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = read_parquet(path)
        elif suffix == ".jsonl":
            table = _read_jsonl(path)
        else:
            table = _read_separated(path, suffix)
    except Unreadable as error:
        raise UsageError(
            f"The file {path} cannot be read: {error.reason}. "
            "Name a csv, tsv, jsonl or parquet file."
        ) from error
    if not table.rows:
        raise UsageError(f"The file {path} has no rows. It needs a text and a label in every row.")
    return table


def _read_separated(path: Path, suffix: str) -> Table:
    """Read a csv or tsv file; every cell is a string, and a missing cell is NaN."""
    import csv
    from io import StringIO

    import pandas as pd

    text = read_text(path)
    separator, remarks = separator_of(text, suffix)
    _check_width(path, text, separator)
    quoted = separator != "\t" or uses_quotes(text)
    try:
        frame = pd.read_csv(
            StringIO(text, newline=""),
            sep=separator,
            dtype=str,
            header=None,
            keep_default_na=False,
            na_values=[],
            # Without names for every cell, pandas takes a longer row's first cell for an index.
            index_col=False,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UsageError(
            f"The file {path} is no table: {_reason(error)}. Every row needs as many cells as the "
            "first line, and a cell with the separator or a line break needs quotes around it."
        ) from error
    header = [str(cell).strip() for cell in frame.iloc[0].fillna("")]
    _check_header(path, header)
    body = frame.iloc[1:]
    if separator == "\t" and quoted:
        remarks = (*remarks, f"{path.name} is read with quotes around cells, as it was written.")
    return Table(
        name=path.name,
        columns=tuple(header),
        read=lambda name: body[header.index(name)].tolist(),
        rows=len(body),
        remarks=remarks,
    )


def _check_width(path: Path, text: str, separator: str) -> None:
    """Refuse a first line with a huge number of columns, on which pandas spends hours."""
    columns = text.partition("\n")[0].count(separator) + 1
    if columns > _COLUMNS:
        raise UsageError(
            f"The first line of {path} names {columns:,} columns, and robench reads up to "
            f"{_COLUMNS:,}. Keep the texts and the labels only."
        )


def _reason(error: Exception) -> str:
    """Return the parser's reason without its preamble."""
    return first_line(error).removeprefix("Error tokenizing data. C error: ").rstrip(".")


def _check_header(path: Path, header: Sequence[str]) -> None:
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise UsageError(
            f"The first line of {path} names a column twice: {', '.join(repeated)}. "
            "Give every column a name of its own."
        )


def _read_jsonl(path: Path) -> Table:
    """Read a file with one JSON object a line; blank lines do not count."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, line in text_lines(path):
        try:
            row = parse_json(line, path, DATA)
        except Unreadable as error:
            reason = error.reason.removeprefix("it ").replace(" in line 1,", " in")
            raise UsageError(
                f"Line {number} of {path} {reason}. A jsonl file has one JSON object a line."
            ) from error
        if not isinstance(row, dict):
            raise UsageError(
                f"Line {number} of {path} is no JSON object. A jsonl file has one object a line, "
                'such as {"text": "A fine film.", "label": "positive"}.'
            )
        rows.append(row)
        numbers.append(number)
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(
        name=path.name,
        columns=columns,
        read=lambda name: [row.get(name) for row in rows],
        rows=len(rows),
        numbers=numbers,
        unit="line",
    )
