"""What ``robench transfer`` found, as flags of a run's tables.

The tests were made by ``robench transfer``. Here its file is read, and nothing is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.records.flags import Flag, find_flags, order
from robench.records.record import Record, digest_of_ids

STRONGER = "transfer"
"""``Flag.stronger`` of these flags: texts that were made for other victims."""


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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NOT_TRANSFERRED
    except (OSError, UnicodeDecodeError) as error:
        return Transferred(damaged=f"It cannot be read ({error}).")
    try:
        found = [
            ((row["cell"], digest_of_ids(row["transfer"])), _flag(table["attack"], row))
            for table in json.loads(text)["tables"]
            for row in table["victims"]
            if row["flag"] is not None
        ]
    except (ValueError, LookupError, TypeError):
        return Transferred(damaged="It is not what 'robench transfer' writes; run it again.")
    return Transferred(dict(found))


def _flag(attack: str, row: Mapping[str, Any]) -> Flag:
    return Flag(
        kind="transfer-stronger",
        row=row["row"],
        seed=row["seed"],
        suspect=attack,
        stronger=STRONGER,
        only_suspect=row["only_own"],
        only_stronger=row["missed"],
        p_value=row["p_value_holm"],
        sentence=row["flag"],
    )


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
