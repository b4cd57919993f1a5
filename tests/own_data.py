"""The same rows in every format that a user may bring."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.columns import DataColumns
from robench.tasks.resolving import find_task

Row = Mapping[str, Any]
FORMATS = ("csv", "tsv", "jsonl", "parquet", "crlf.csv", "bom.csv", "semicolon.csv", "glue.tsv")


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows in the format that the name of the file says; see ``FORMATS``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        import pandas as pd

        pd.DataFrame(list(rows)).to_parquet(path)
    elif path.name.endswith("glue.tsv"):
        lines = ["\t".join(rows[0])] + ["\t".join(map(str, row.values())) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        separator = "\t" if path.suffix == ".tsv" else ";" if "semicolon" in path.name else ","
        with path.open(
            "w", encoding="utf-8-sig" if "bom" in path.name else "utf-8", newline=""
        ) as f:
            writer = csv.DictWriter(
                f,
                list(rows[0]),
                delimiter=separator,
                lineterminator="\r\n" if "crlf" in path.name else "\n",
            )
            writer.writeheader()
            writer.writerows(rows)
    return path


def reviews(size: int = 40, **more: Any) -> list[dict[str, Any]]:
    """Return rows with quotes, commas and accents; the labels are ``negative`` and ``positive``."""
    words = {"negative": "dull", "positive": "fine"}
    return [
        {"text": f'A {words[label]}, "caf\u00e9" film; number {number}.', "label": label} | more
        for number in range(size // 2)
        for label in words
    ]


def load(
    path: Path | str, *, training: bool = True, ids: Path | None = None, **said: Any
) -> tuple[type[Task], Splits]:
    """Return class and splits of a file."""
    task = find_task(str(path), DataColumns(**said), training=training)
    return task, task().load(DataSource(hub=False), ids=ids)
