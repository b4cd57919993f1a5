"""Export trials with their texts as CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError
from robench._base.escaping import json_text
from robench._base.files import atomic_file
from robench.records.trial_texts import TrialText

if TYPE_CHECKING:
    import pyarrow as pa

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that a spreadsheet takes for a formula."""

NESTED = ("labels", "probs", "adversarial_probs", "changes")
"""Columns that hold more than one value. In CSV they are JSON."""


def row_of(trial: TrialText) -> dict[str, Any]:
    """Return one trial as plain data, every field of its texts in a column of its own.

    The original fields are called ``original_<field>``. The attacked one is also there as
    ``adversarial_<field>``, and as ``rejected_<field>`` where the core rejected a claim.
    """
    row: dict[str, Any] = {
        "id": trial.id,
        "task": trial.task,
        "row": trial.row,
        "attack": trial.attack,
        "seed": trial.seed,
        "verdict": str(trial.verdict),
        "label": trial.label,
        "prediction": trial.prediction,
        "adversarial_prediction": trial.adversarial_prediction,
        "attacked_field": trial.attackable,
    }
    for name, text in trial.fields.items():
        row[f"original_{name}"] = text
    return row | {
        f"adversarial_{trial.attackable}": trial.adversarial_text,
        f"rejected_{trial.attackable}": trial.rejected_text,
        "words_changed": trial.words_changed,
        "changes": [change.model_dump() for change in trial.changes],
        "labels": list(trial.labels),
        "probs": None if trial.probs is None else list(trial.probs),
        "adversarial_probs": (
            None if trial.adversarial_probs is None else list(trial.adversarial_probs)
        ),
        "asked": trial.asked,
        "asked_at_success": trial.asked_at_success,
        "forwarded": trial.forwarded,
        "seconds": trial.seconds,
        "problem": trial.problem,
    }


def _table(trials: Sequence[TrialText]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of all columns, and the rows; tasks may have other fields."""
    rows = [row_of(trial) for trial in trials]
    names = dict.fromkeys(name for row in rows for name in row)
    return list(names), [{name: _encodable(row.get(name)) for name in names} for row in rows]


def _encodable(value: Any) -> Any:
    """Return a text that UTF-8 can hold: half a character pair is written as ``\\ud800``."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def formulas(trials: Sequence[TrialText]) -> int:
    """Return how many cells of ``to_csv`` a spreadsheet would take for formulas."""
    rows = [row_of(trial) for trial in trials]
    return sum(
        isinstance(value, str) and value.startswith(FORMULA)
        for row in rows
        for value in row.values()
    )


def to_jsonl(trials: Sequence[TrialText]) -> str:
    """Return one JSON object a line. Characters that cannot be seen are written ``\\uXXXX``."""
    _, rows = _table(trials)
    return "".join(json_text(json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


def to_csv(trials: Sequence[TrialText]) -> str:
    """Return CSV with a line of names; what is missing is empty.

    No text is changed, also none that a spreadsheet would take for a formula: the file is for
    programs, and an adversarial text counts character by character. ``formulas`` counts them.
    """
    names, rows = _table(trials)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        plain = {name: json.dumps(row[name], ensure_ascii=False) for name in NESTED}
        missing = {name: None for name in NESTED if row[name] is None}
        writer.writerow(row | plain | missing)
    return stream.getvalue()


def to_arrow(trials: Sequence[TrialText]) -> pa.Table:
    """Return an Arrow table with the same columns and types whatever the trials are."""
    import pyarrow as pa

    change = pa.struct(
        [("position", pa.int32()), ("original", pa.string()), ("substitute", pa.string())]
    )
    types = {
        "seed": pa.int64(),
        "words_changed": pa.int32(),
        "changes": pa.list_(change),
        "labels": pa.list_(pa.string()),
        "probs": pa.list_(pa.float64()),
        "adversarial_probs": pa.list_(pa.float64()),
        "asked": pa.int64(),
        "asked_at_success": pa.int64(),
        "forwarded": pa.int64(),
        "seconds": pa.float64(),
    }
    names, rows = _table(trials)
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist(rows, schema=schema)


def write_parquet(path: Path, trials: Sequence[TrialText]) -> None:
    """Write a Parquet file whole or not at all.

    Raises:
        RobenchError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    try:
        with atomic_file(path) as temporary:
            pq.write_table(to_arrow(trials), temporary, compression="zstd")
    except OSError as error:
        raise RobenchError(
            f"Cannot write {path}: {error.strerror or error}. Name another --output."
        ) from error
