"""``verified.json``: the records of a folder that ``robench verify`` checked and that hold.

An entry belongs to the SHA-256 of one record file. A record that is changed afterwards has another
hash, and so no entry. Records that failed or could not be checked have no entry.

Whoever can write into the folder can write this file as well. It says what somebody found, and
``robench verify`` finds it again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, NonNegativeInt, ValidationError

from robench._base.bounded_reading import Bounds, Missing, Unreadable, parse_json, read_bytes
from robench._base.errors import RobenchError
from robench._base.escaping import NAME, one_line
from robench._base.files import wait_for_lock
from robench._base.seals import SealBroken, file_sha256, without_seal
from robench.records.part import RecordPart, Sha256, write_sealed
from robench.records.record import Record
from robench.records.record_dates import CLOCKS

FILE_NAME: Final = "verified.json"
"""Name of the file in a folder of records."""
BOUNDS: Final = Bounds(size=64 * 2**20)
"""The largest file that is read holds the entries of some 60,000 records."""
LEAST_SAMPLE: Final = 1e-6
"""A smaller share of searches that were repeated is not believed."""


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

    def fault(self, record: Record | None = None) -> str | None:
        """Return why no verification gave this entry, as a clause; None if one may have.

        Args:
            record: the record of the entry, where it is at hand.
        """
        if not self.checks:
            return "it names no check"
        if self.checked > datetime.now(UTC) + CLOCKS:
            return "its date is in the future"
        if self.sample < LEAST_SAMPLE:
            return f"a share of {self.sample:g} of the searches was repeated"
        if max(self.fooled, self.searched, self.proved) > self.examples:
            return "it counts more examples than there are"
        return self._too_few(self.fooled, 0) if record is None else self._misfit(record)

    def _misfit(self, record: Record) -> str | None:
        """Return why the entry is not about a record."""
        counts, trials = record.counts, record.trials
        if self.victim != record.victim.sha256:
            return "it is about another victim than the record"
        if trials is not None and self.trials != trials.sha256:
            return "it is about other trials than those of the record"
        if self.examples != counts.n:
            return f"it has {self.examples} examples, and the record has {counts.n}"
        if self.checked < record.created - CLOCKS:
            return "it was made before the record"
        return self._too_few(counts.fooled, counts.held)

    def _too_few(self, fooled: int, held: int) -> str | None:
        """Return that fewer searches were repeated than the share demands."""
        wanted = ceil(self.sample * fooled) + ceil(self.sample * held)
        if self.searched >= wanted:
            return None
        return f"{self.searched} searches were repeated, and its share demands {wanted}"


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
        content = without_seal(parse_json(read_bytes(path, BOUNDS, inside=folder), path))
        found = _VerifiedFile.model_validate_json(json.dumps(content))
    except Missing:
        return VerifiedOnDisk({})
    except Unreadable as error:
        return VerifiedOnDisk({}, f"{FILE_NAME} cannot be read: {error.reason}.")
    except ValidationError:
        return VerifiedOnDisk({}, f"{FILE_NAME} is no file that 'robench verify' wrote.")
    except SealBroken as error:
        return VerifiedOnDisk({}, f"{FILE_NAME} was changed after it was written: {error}.")
    return _believable(found.records)


def _believable(entries: Mapping[str, VerifiedRecord]) -> VerifiedOnDisk:
    """Return the entries that can be true, and say what is wrong with the others."""
    faults = {sha256: entry.fault() for sha256, entry in entries.items()}
    good = {sha256: entry for sha256, entry in entries.items() if faults[sha256] is None}
    bad = [(entries[sha256].file, fault) for sha256, fault in faults.items() if fault is not None]
    if not bad:
        return VerifiedOnDisk(good)
    one = len(bad) == 1
    number = "1 entry" if one else f"{len(bad)} entries"
    count = "does not count" if one else "do not count"
    name, fault = bad[0]
    return VerifiedOnDisk(
        good,
        f"{number} of {FILE_NAME} cannot be true and {count}. The first "
        f"is that of {one_line(name, NAME)}: {fault}.",
    )


def verified_names(
    folder: Path, names: Iterable[str], records: Mapping[str, Record] | None = None
) -> frozenset[str]:
    """Return those of the record files ``names`` in ``folder`` that are verified as they are now.

    Args:
        folder: folder of records.
        names: names of record files.
        records: name -> record, where they are at hand. An entry that does not fit its record
            does not count.
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
        if entry is None or entry.file != name:
            continue
        record = (records or {}).get(name)
        if record is None or entry.fault(record) is None:
            found.add(name)
    return frozenset(found)


def write_verified(
    folder: Path, held: Mapping[str, VerifiedRecord], others: Iterable[str] = ()
) -> Path:
    """Add entries to ``verified.json`` in ``folder`` and return its path.

    Entries of records that are not there any more are dropped. Several verifications may end at
    the same time: each waits for the others, so no entry is lost.

    Args:
        folder: folder of records.
        held: SHA-256 of a record file -> what was checked of it.
        others: hashes of record files that were checked and do not hold, or only in part.

    Raises:
        RobenchError: the file cannot be written.
    """
    with _folder_lock(folder):
        return _add_entries(folder, held, set(others))


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time change the file; a folder that cannot be locked is not.

    The folder itself is locked, so that no file of a lock stays in it.
    """
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            wait_for_lock(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _add_entries(folder: Path, held: Mapping[str, VerifiedRecord], gone: set[str]) -> Path:
    present = set()
    for path in folder.glob("*.json"):
        try:
            present.add(file_sha256(path))
        except RobenchError:
            continue
    entries = {**read_verified(folder).records, **held}
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
