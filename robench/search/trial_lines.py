"""The lines of a trials file: its header, and one sealed line for each trial.

A seal finds accidents and careless edits: a flipped bit, half a line, a line of another cell.
Whoever edits a file with care can make new seals, so a seal proves nothing about who wrote it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from robench._base.bounded_reading import Unreadable, parse_json
from robench._base.seals import seal_line, seal_of_bytes, split_line
from robench.search.attack import Change, Trial, Verdict

KIND = "trials"
"""Value of ``"robench"`` in the header."""
VERSION = 1
"""Version of the format, in the header."""

_TRIAL_FIELDS, _CHANGE_FIELDS = set(Trial.model_fields), set(Change.model_fields)
# A line seals its own bytes, so bytes that are no UTF-8 may stand behind a seal that fits.
_START = re.compile(rb'\{"id":"([ !#-\[\]-~]*)","verdict":"([a-z-]+)",')
"""How the JSON text of a trial begins, where its id is plain ASCII."""
_VERDICTS = {verdict.value.encode(): verdict for verdict in Verdict}


@dataclass(frozen=True)
class Header:
    """The first line of a trials file.

    Attributes:
        cell: key of the cell whose trials follow.
        name: name of that cell in file names.
        version: version of the format.
    """

    cell: str
    name: str
    version: int = VERSION

    def line(self) -> bytes:
        """Return the line, with its newline."""
        content = {
            "robench": KIND,
            "version": self.version,
            "cell": self.cell,
            "name": self.name,
        }
        return seal_line(json.dumps(content, separators=(",", ":")).encode(), self.cell)


@dataclass(frozen=True)
class Revoked:
    """A line that takes back the trial of an example, because it cannot be true.

    Attributes:
        id: of the example.
        reason: what is impossible about its trial.
    """

    id: str
    reason: str

    def line(self, cell: str) -> bytes:
        """Return the sealed line, with its newline."""
        content = {"revoked": self.id, "reason": self.reason}
        return seal_line(json.dumps(content, separators=(",", ":")).encode(), cell)


def trial_line(trial: Trial, cell: str) -> bytes:
    """Return the sealed line of a trial, with its newline.

    Args:
        trial: the trial.
        cell: key of its cell.
    """
    return seal_line(trial.model_dump_json().encode(), cell)


class Sketch(NamedTuple):
    """What most readers need of a trial. It is read four times as fast and is a tenth as large.

    Attributes:
        id, verdict: as in the trial.
        sha256: SHA-256 of the trial's JSON text, 32 bytes.
    """

    id: str
    verdict: Verdict
    sha256: bytes


def sketch_of(trial: Trial) -> Sketch:
    """Return the sketch of a trial."""
    return Sketch(
        trial.id, trial.verdict, hashlib.sha256(trial.model_dump_json().encode()).digest()
    )


def read_header(line: bytes) -> Header | None:
    """Return the header that the line holds; None if it holds none or its seal does not fit."""
    if not line.startswith(b'{"robench"'):
        return None
    content, seal = split_line(line)
    try:
        raw = parse_json(content, "the header")
        header = Header(raw["cell"], raw["name"], raw["version"])
    except (Unreadable, KeyError, TypeError):
        return None
    plain = isinstance(header.cell, str) and isinstance(header.name, str)
    numbered = type(header.version) is int and raw["robench"] == KIND
    return header if plain and numbered and seal == seal_of_bytes(content, header.cell) else None


def read_line(line: bytes, cell: str | None) -> Trial | Revoked | str:
    """Return what the line holds, or why it holds nothing, as a part of a sentence.

    Args:
        line: the line without its newline.
        cell: key of the cell that sealed it. None reads a line without a seal, as older versions
            wrote it.
    """
    content = line if cell is None else unsealed(line, cell)
    if isinstance(content, str):
        return content
    try:
        if content.startswith(b'{"revoked"'):
            raw = parse_json(content, "the line")
            found = Revoked(raw["revoked"], raw["reason"])
            plain = isinstance(found.id, str) and isinstance(found.reason, str)
            return found if plain else "it is not a trial"
        return _lean(Trial.model_validate_json(content, strict=True))
    except (Unreadable, ValidationError, KeyError, TypeError):
        return "it is not a trial"


def read_sketch(line: bytes, cell: str | None) -> Sketch | Revoked | str:
    """Return the sketch of the trial that the line holds; see ``read_line``.

    Behind a seal that fits, the rest of the line is not looked at.
    """
    content = b"" if cell is None else unsealed(line, cell)
    if isinstance(content, str):
        return content
    found = _START.match(content)
    if found is None or found[2] not in _VERDICTS:
        whole = read_line(line, cell)
        return sketch_of(whole) if isinstance(whole, Trial) else whole
    return Sketch(found[1].decode(), _VERDICTS[found[2]], hashlib.sha256(content).digest())


def unsealed(line: bytes, cell: str) -> bytes | str:
    """Return the content of a sealed line, or why the seal does not hold."""
    content, seal = split_line(line)
    if seal is None:
        return "it has no seal"
    return content if seal == seal_of_bytes(content, cell) else "its seal does not fit"


def _lean(trial: Trial) -> Trial:
    """Share the sets of the names of fields, which are half of what a trial needs in memory.

    pydantic keeps such a set for each object. Whole lines hold all fields.
    """
    if len(trial.model_fields_set) == len(_TRIAL_FIELDS):
        object.__setattr__(trial, "__pydantic_fields_set__", _TRIAL_FIELDS)
    for change in trial.changes:
        object.__setattr__(change, "__pydantic_fields_set__", _CHANGE_FIELDS)
    return trial
