"""Read and write record files, and convert files of older formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robench._base.bounded_reading import (
    RECORD,
    Missing,
    NoRegularFile,
    Unreadable,
    check_value,
    read_json,
)
from robench._base.errors import RobenchError
from robench.records.part import write_sealed
from robench.records.record import SCHEMA, Record
from robench.records.record_seal import checked_seal
from robench.records.verified import FILE_NAME as VERIFIED

_REMEDY = "Restore it, or delete it and evaluate that cell again."
_SHORT = replace(RECORD, text=10_000)
RawRecord = dict[str, Any]
"""A record as parsed from JSON, before it is checked."""


def write_record(path: Path, record: Record) -> None:
    """Write ``record`` to ``path``, whole or not at all.

    Raises:
        RobenchError: the file cannot be written, or nobody could read it.
    """
    try:
        _check_bounds(record.model_dump(mode="json"), path)
    except Unreadable as error:
        raise RobenchError(
            f"The record {path} is not written, because it could not be read again "
            f"({error.reason}). Change the option with that value. Finished trials are kept."
        ) from error
    write_sealed(path, record)


def read_record(path: Path) -> Record:
    """Return the record in ``path``, converted to the present schema.

    Raises:
        RobenchError: see ``read_with_schema``.
    """
    return read_with_schema(path)[0]


def read_with_schema(path: Path) -> tuple[Record, int]:
    """Return the record in ``path``, converted to the present schema, and the schema of the file.

    Raises:
        RobenchError: the file cannot be read, or holds no valid record. The message is one
            sentence about the reason and one about what to do.
    """
    try:
        raw = read_json(path, RECORD, inside=path.parent)
        _check_bounds(raw, path)
    except NoRegularFile as error:
        raise RobenchError(f"No record: {path} ({error.reason}). {error.remedy}") from error
    except Missing as error:
        raise _no_file(path) from error
    except Unreadable as error:
        raise RobenchError(f"Cannot read the record {path} ({error.reason}). {_REMEDY}") from error
    try:
        # From JSON text, not from Python values: only then are strings such as the date and
        # lists such as the findings accepted as the file holds them. Strict: "20" is no 20, and
        # true is no 1.
        data = migrate(checked_seal(raw))
        return Record.model_validate_json(json.dumps(data), strict=True), raw["schema"]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RobenchError(
            f"The record {path} is not valid at '{where}' ({first['msg']}). {_REMEDY}"
        ) from error
    except RobenchError as error:
        raise RobenchError(f"Cannot read the record {path}: {error}") from error


def _check_bounds(raw: Any, path: Path) -> None:
    """Raise Unreadable where a text or a number of a record is beyond the bounds."""
    # One letter for each example: only that text may be long.
    check_value({**raw, "outcomes": ""} if isinstance(raw, dict) else raw, path, _SHORT)


def _no_file(path: Path) -> RobenchError:
    """Return the error for a file that is not there; a listing names links that lead nowhere."""
    if path.is_symlink():
        return RobenchError(
            f"No record: {path} (it is a link to a file that does not exist). Put the file in the "
            "place of the link, or delete the link."
        )
    return RobenchError(f"Cannot read the record {path} (it does not exist). {_REMEDY}")


def read_records(folder: Path, known: KnownRecords | None = None) -> dict[str, Record]:
    """Return all records of ``folder`` by file name, sorted by name.

    A folder that does not exist has no records. A board is made from this function: all records
    must be readable.

    Args:
        folder: the folder of the records.
        known: the records of an earlier call. Files that are still the same are not read again.

    Raises:
        RobenchError: a record cannot be read.
    """
    found = find_records(folder, known)
    for reason in found.damaged.values():
        raise RobenchError(reason)
    return dict(found.records)


def record_paths(folder: Path) -> list[Path]:
    """Return the record files of ``folder``, sorted by name; what ``verify`` stored is none."""
    return [path for path in sorted(folder.glob("*.json")) if path.name != VERIFIED]


@dataclass(frozen=True)
class RecordsOnDisk:
    """Records of a folder, including those that cannot be read. Both are sorted by file name.

    Attributes:
        records: file name -> record.
        damaged: file name -> why it cannot be read. Whoever shows ``records`` shows this too.
    """

    records: Mapping[str, Record]
    damaged: Mapping[str, str]

    def damage(self, folder: Path) -> str:
        """Return how many records of ``folder`` cannot be read, and why the first one cannot.

        Empty where all can be read.
        """
        if not self.damaged:
            return ""
        number = len(self.damaged)
        some = "1 record" if number == 1 else f"{number} records"
        return f"{some} of {folder} cannot be read. {next(iter(self.damaged.values()))}"


class KnownRecords:
    """The records of folders as they were read last; only files that changed are read again.

    A run makes its table after every cell, and most records are then the same as before.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], Record | str]] = {}

    def read(self, path: Path) -> Record | str:
        """Return the record in ``path``, or why it cannot be read."""
        stamp: tuple[int, ...]
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:
            stamp = ()
        known = self._known.get(path)
        if known is not None and stamp and known[0] == stamp:
            return known[1]
        found: Record | str
        try:
            found = read_record(path)
        except RobenchError as error:
            found = str(error)
        self._known[path] = stamp, found
        return found


def find_records(folder: Path, known: KnownRecords | None = None) -> RecordsOnDisk:
    """Return all records of ``folder``, readable or not.

    A folder that does not exist has no records. The table of a run is made from this function:
    one damaged record does not hide the others.

    Args:
        folder: the folder of the records.
        known: the records of an earlier call. Files that are still the same are not read again.
    """
    known = known or KnownRecords()
    records: dict[str, Record] = {}
    damaged: dict[str, str] = {}
    for path in record_paths(folder):
        found = known.read(path)
        if isinstance(found, str):
            damaged[path.name] = found
        else:
            records[path.name] = found
    return RecordsOnDisk(records, damaged)


def _add_disbelieved(old: RawRecord) -> RawRecord:
    """Convert schema 1, which did not count disbelieved claims."""
    return {**old, "disbelieved": None}


def _add_core_code(old: RawRecord) -> RawRecord:
    """Convert schema 2, which did not hold the hashes of robench's own code."""
    return {
        **old,
        "victim": {**old["victim"], "training_code_sha256": None},
        "search": {**old["search"], "code_sha256": None},
    }


def _add_given_victims(old: RawRecord) -> RawRecord:
    """Convert schema 3, in which every victim was trained by robench."""
    return {
        **old,
        "task": {**old["task"], "other_test": None},
        "victim": {**old["victim"], "kind": "trained", "name": None, "given": None},
        "surface": {**old["surface"], "unattackable": None},
    }


def _add_choices_of_the_protocol(old: RawRecord) -> RawRecord:
    """Convert schema 4, whose protocols left nothing to choose.

    The other fields that schema 5 adds may be absent: absent means "not measured".
    """
    usual = {"unknown": "allowed", "temperature": "none"}
    return {**old, "protocol": {**old["protocol"], **usual}}


def _add_trials(old: RawRecord) -> RawRecord:
    """Convert schema 5, which did not say which trials a record was made from.

    Its files have no seal either.
    """
    return old


def _add_counts_by_label(old: RawRecord) -> RawRecord:
    """Convert schema 6, which did not count the examples of each label."""
    return old


MIGRATIONS: dict[int, Callable[[RawRecord], RawRecord]] = {
    1: _add_disbelieved,
    2: _add_core_code,
    3: _add_given_victims,
    4: _add_choices_of_the_protocol,
    5: _add_trials,
    6: _add_counts_by_label,
}
"""Schema version -> the function that converts a raw record to the next version."""


def migrate(raw: Any) -> RawRecord:
    """Convert a raw record to the present schema, one version at a time.

    Raises:
        RobenchError: ``raw`` is not a record, is incomplete, comes from a newer robench, or has
            a version that can no longer be converted.
    """
    version = raw.get("schema") if isinstance(raw, dict) else None
    # True and False are integers in Python, but no version numbers.
    if not isinstance(version, int) or isinstance(version, bool):
        raise RobenchError("it has no 'schema' number, so it is not a record.")
    if version > SCHEMA:
        raise RobenchError(
            f"it has schema {version} and this robench reads up to {SCHEMA}. Update robench."
        )
    data: RawRecord = raw
    while version < SCHEMA:
        if version not in MIGRATIONS:
            raise RobenchError(
                f"it has schema {version}, which this robench can no longer read. Evaluate that "
                "cell again."
            )
        try:
            data = {**MIGRATIONS[version](data), "schema": version + 1}
        except (KeyError, TypeError) as error:
            raise RobenchError(
                f"it lacks fields of schema {version}. Restore it, or delete it and evaluate that "
                "cell again."
            ) from error
        version += 1
    return data
