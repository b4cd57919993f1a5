"""What ``robench transfer`` found, as flags of a run's tables.

The tests were made by ``robench transfer``. Here its file is read, and nothing is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from robench._base.bounded_reading import (
    RECORD,
    Missing,
    Unreadable,
    check_value,
    read_json,
)
from robench._base.seals import SealBroken, without_seal
from robench.records.flags import Flag, find_flags, order
from robench.records.record import Record, digest_of_ids

STRONGER = "transfer"
"""``Flag.stronger`` of these flags: texts that were made for other victims."""

_FLAG = TypeAdapter(Flag)


@dataclass(frozen=True)
class Transferred:
    """The flags that a run's ``transfer.json`` holds.

    Attributes:
        flags: (key of the cell, ``digest_of_ids`` of its examples) -> its flag.
        damaged: why the file cannot be read, in one sentence; None where it can, or is not there.
    """

    flags: Mapping[tuple[str, str], Flag] = field(default_factory=dict)
    damaged: str | None = None


NOT_TRANSFERRED = Transferred()


def read_transferred(path: Path) -> Transferred:
    """Return the flags in ``path``, the file of ``robench transfer``; none without the file."""
    try:
        content = read_json(path, RECORD, inside=path.parent)
        check_value(content, path, replace(RECORD, text=10_000))
        content = without_seal(content)
    except Missing:
        return NOT_TRANSFERRED
    except Unreadable as error:
        return Transferred(
            damaged=f"It cannot be read ({error.reason}); run 'robench transfer' again."
        )
    except SealBroken as error:
        return Transferred(
            damaged=f"It is not what 'robench transfer' writes ({error}); run it again."
        )
    try:
        found = [
            ((_text(row["cell"]), digest_of_ids(row["transfer"])), _flag(table["attack"], row))
            for table in content["tables"]
            for row in table["victims"]
            if row["flag"] is not None
        ]
    except (ValueError, LookupError, TypeError):
        return Transferred(damaged="It is not what 'robench transfer' writes; run it again.")
    return Transferred(dict(found))


def _flag(attack: str, row: Mapping[str, Any]) -> Flag:
    """Return the flag of a row; raise ValueError where a value has another type."""
    values = {
        "kind": "transfer-stronger",
        "row": row["row"],
        "seed": row["seed"],
        "suspect": attack,
        "stronger": STRONGER,
        "only_suspect": row["only_own"],
        "only_stronger": row["missed"],
        "p_value": row["p_value_holm"],
        "sentence": row["flag"],
    }
    return _FLAG.validate_json(json.dumps(values), strict=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def table_flags(
    records: Iterable[Record], transferred: Transferred = NOT_TRANSFERRED
) -> list[Flag]:
    """Return all flags of one table: those that compare records, and those of its cells.

    Args:
        records: the records of the table.
        transferred: what ``robench transfer`` found in the run.
    """
    known = list(records)
    cells = ((each.cell, each.ids_digest) for each in known)
    stored = [transferred.flags[cell] for cell in cells if cell in transferred.flags]
    return sorted([*find_flags(known), *stored], key=order)
