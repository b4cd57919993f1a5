"""Parquet files of the user, read column by column and within bounds.

A few kilobytes can hold billions of equal rows, so rows and bytes are counted while they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import (
    DATA,
    DOCUMENT,
    GB,
    Unreadable,
    limit_of,
    open_bounded,
    parse_json,
)
from robench._base.errors import UsageError, first_line
from robench._base.regular_files import how_to_raise
from robench.tasks.own.table import Table

ROWS = 20_000_000
"""Most rows of a file."""
UNPACKED = 8 * GB
"""Most bytes of one column in memory."""
_BATCH = 1024


def read_parquet(path: Path) -> Table:
    """Read a parquet file; a column is read when its cells are wanted.

    Raises:
        UsageError: it is no parquet file, or goes beyond a limit.
        Unreadable: see ``open_bounded``.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with open_bounded(path, DATA.size) as stream:
        try:
            file = parquet.ParquetFile(stream)
            schema, rows = file.schema_arrow, int(file.metadata.num_rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _no_parquet(path, error) from error
    _check(path, rows, ROWS, "rows")
    return Table(
        name=path.name,
        columns=tuple(schema.names),
        read=lambda name: _column(path, name),
        rows=rows,
        class_names=class_names(schema.metadata or {}),
    )


def _column(path: Path, name: str) -> list[Any]:
    """Return the cells of a column; the bytes are counted, because the file's own counts may lie.

    Raises:
        UsageError: the column is damaged, or goes beyond a limit.
        Unreadable: see ``open_bounded``.
    """
    import pyarrow as pa
    from pyarrow import parquet

    cells: list[Any] = []
    size = 0
    with open_bounded(path, DATA.size) as stream:
        try:
            for batch in parquet.ParquetFile(stream).iter_batches(_BATCH, columns=[name]):
                size += batch.nbytes
                _check(path, size, UNPACKED, f"bytes in the column '{name}'")
                cells += batch.column(0).to_pylist()
                _check(path, len(cells), ROWS, "rows")
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _no_parquet(path, error) from error
    return cells


def _no_parquet(path: Path, error: Exception) -> UsageError:
    return UsageError(f"The file {path} is no parquet file: {first_line(error)}.")


def _check(path: Path, found: int, limit: int, unit: str) -> None:
    most = limit_of(limit)
    if found > most:
        raise UsageError(
            f"The file {path} has {found:,} {unit}, and the limit is {most:,}; "
            f"{how_to_raise(found, most)}."
        )


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the names of classes that the library ``datasets`` wrote into a parquet file."""
    try:
        written = parse_json(metadata.get(b"huggingface", b"{}"), "the metadata", DOCUMENT)
        features = written["info"]["features"]
        return {
            column: _names(feature["names"])
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (Unreadable, KeyError, TypeError, AttributeError):
        return {}


def _names(found: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise TypeError("the names of classes are no list of texts")
    return tuple(found)
