"""``verified.json``: the records of a folder that ``robench verify`` checked and that hold.

An entry belongs to the SHA-256 of one record file. A record that is changed afterwards has another
hash, and so no entry. Records that failed or could not be checked have no entry.

Whoever can write into the folder can write this file as well. It says what somebody found, and
``robench verify`` finds it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, NonNegativeInt, ValidationError

from robench._base.bounded_reading import Bounds, Missing, Unreadable, parse_json, read_bytes
from robench._base.errors import RobenchError
from robench._base.seals import SealBroken, file_sha256, without_seal
from robench.records.part import RecordPart, Sha256, write_sealed

FILE_NAME: Final = "verified.json"
"""Name of the file in a folder of records."""
BOUNDS: Final = Bounds(size=64 * 2**20)
"""The largest file that is read holds the entries of some 60,000 records."""


class VerifiedRecord(RecordPart):
    """What was checked of one record.

    Attributes:
        file: name of the record's file.
        checks: names of the checks that found no difference.
        examples: number of its examples; the victim was asked about the clean text of each.
        fooled: adversarial texts about which the victim was asked again.
        searched: examples that were attacked again from scratch.
        proved: proofs that were made again.
        sample: the share of the searches that was repeated, in (0, 1].
        seed: seed of the choice of that share.
        same_software: whether the same code, software and kind of processor made the record. If
            so, the repeated searches gave the same trials in every digit, and otherwise apart from
            the last digits of probabilities.
        trials: SHA-256 of the trials, as the record holds it; None in older records.
        victim: hash of the victim's weights, computed from its files.
        robench: version of robench that checked.
        checked: time of the check, in UTC.
    """

    file: str
    checks: tuple[str, ...]
    examples: NonNegativeInt
    fooled: NonNegativeInt
    searched: NonNegativeInt
    proved: NonNegativeInt
    sample: float = Field(gt=0, le=1)
    seed: NonNegativeInt
    same_software: bool
    trials: Sha256 | None
    victim: Sha256
    robench: str
    checked: AwareDatetime


class _VerifiedFile(RecordPart):
    """The whole file: SHA-256 of a record file -> what was checked of it."""

    robench: Literal["verified"] = "verified"
    version: Literal[1] = 1
    records: dict[Sha256, VerifiedRecord] = Field(default_factory=dict)


@dataclass(frozen=True)
class VerifiedOnDisk:
    """What a folder says about its records.

    Attributes:
        records: SHA-256 of a record file -> what was checked of it.
        problem: why the file of the folder cannot be read, or None.
    """

    records: Mapping[str, VerifiedRecord]
    problem: str | None = None


def read_verified(folder: Path) -> VerifiedOnDisk:
    """Return what ``verified.json`` in ``folder`` says; nothing where there is no such file."""
    path = folder / FILE_NAME
    try:
        content = without_seal(parse_json(read_bytes(path, BOUNDS), path))
        found = _VerifiedFile.model_validate_json(json.dumps(content))
    except Missing:
        return VerifiedOnDisk({})
    except Unreadable as error:
        return VerifiedOnDisk({}, f"{FILE_NAME} cannot be read: {error.reason}.")
    except ValidationError:
        return VerifiedOnDisk({}, f"{FILE_NAME} is no file that 'robench verify' wrote.")
    except SealBroken as error:
        return VerifiedOnDisk({}, f"{FILE_NAME} was changed after it was written: {error}.")
    return VerifiedOnDisk(found.records)


def verified_names(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Return those of the record files ``names`` in ``folder`` that are verified as they are now.

    Args:
        folder: folder of records.
        names: names of record files.
    """
    known = read_verified(folder).records
    if not known:
        return frozenset()
    found = set()
    for name in names:
        try:
            entry = known.get(file_sha256(folder / name))
        except RobenchError:
            continue
        # A copy under another name stands for another cell.
        if entry is not None and entry.file == name:
            found.add(name)
    return frozenset(found)


def write_verified(
    folder: Path, held: Mapping[str, VerifiedRecord], others: Iterable[str] = ()
) -> Path:
    """Add entries to ``verified.json`` in ``folder`` and return its path.

    Entries of records that are not there any more are dropped.

    Args:
        folder: folder of records.
        held: SHA-256 of a record file -> what was checked of it.
        others: hashes of record files that were checked and do not hold, or only in part.

    Raises:
        RobenchError: the file cannot be written.
    """
    present = set()
    for path in folder.glob("*.json"):
        try:
            present.add(file_sha256(path))
        except RobenchError:
            continue
    entries = {**read_verified(folder).records, **held}
    gone = set(others)
    kept = {
        sha256: entry
        for sha256, entry in sorted(entries.items(), key=lambda item: (item[1].file, item[0]))
        if sha256 in present and sha256 not in gone
    }
    path = folder / FILE_NAME
    try:
        write_sealed(path, _VerifiedFile(records=kept))
    except RobenchError as error:
        raise RobenchError(f"The result of the check cannot be stored. {error}") from error
    return path
