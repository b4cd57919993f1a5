"""The records of a run's folder: those that can be read, and why the others cannot. A board takes all or none: ``record.read_records``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.results.record import Record, read_record


@dataclass(frozen=True)
class Found:
    """What lies in a folder of records, both sorted by file name.

    Attributes:
        records: file name -> record.
        damaged: file name -> the sentence that says why it cannot be read; whoever shows ``records`` shows these as well.
    """

    records: Mapping[str, Record]
    damaged: Mapping[str, str]


def find_records(folder: Path) -> Found:
    """Every ``*.json`` in ``folder``, readable or not; nothing where the folder does not exist."""
    records: dict[str, Record] = {}
    damaged: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            records[path.name] = read_record(path)
        except RobenchError as error:
            damaged[path.name] = str(error)
    return Found(records, damaged)
