"""Tables: csv, tsv, jsonl and parquet files, read into columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError, first_line
from robench.tasks.own.text_files import read_text, separator_of, uses_quotes


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


def read_table(path: Path) -> Table:
    """Read a csv, tsv, jsonl or parquet file, by its suffix.

    Raises:
        UsageError: the file cannot be read, is empty, or holds something else than its name says.
    """
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"The file {path} {reason}. Name a csv, tsv, jsonl or parquet file.")
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = _read_parquet(path)
        elif suffix == ".jsonl":
            table = _read_jsonl(path)
        else:
            table = _read_separated(path, suffix)
    except OSError as error:
        raise UsageError(f"The file {path} cannot be read: {error.strerror or error}.") from error
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
    # Not splitlines(): a JSON string may hold U+2028, which is no end of a line here.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(
                f"Line {number} of {path} is not JSON ({first_line(error)}). "
                "A jsonl file has one JSON object a line."
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


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pa.ArrowException as error:
        raise UsageError(f"The file {path} is no parquet file: {first_line(error)}.") from error
    schema = file.schema_arrow
    return Table(
        name=path.name,
        columns=tuple(schema.names),
        read=lambda name: parquet.read_table(path, columns=[name]).column(0).to_pylist(),
        rows=file.metadata.num_rows,
        class_names=_class_names(schema.metadata or {}),
    )


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the names of classes that the library ``datasets`` wrote into a parquet file."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: tuple(feature["names"])
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
