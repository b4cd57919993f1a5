"""The digest of the trials in a file, as a record holds it, where nothing odd is in the file.

Comparing a record with its trials needs the seal of no line: the digest of the record covers every
byte of every trial, and the key of the cell. So one SHA-256 for each trial is enough.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from robench._base.bounded_reading import LINES, Unreadable, limit_of, open_bounded
from robench.records.record import LETTERS, digest_of_ids
from robench.search.attack import Verdict
from robench.search.trial_lines import read_header

_LETTERS = {verdict.value.encode(): letter for verdict, letter in LETTERS.items()}
_ERROR = Verdict.ERROR.value.encode()
_LINE = re.compile(
    rb'(\{"id":"([ !#-\[\]-~]*)","verdict":"([a-z-]+)",.*),"seal":"[0-9a-f]{16}"\}\n'
)
"""A sealed line whose id is plain ASCII, as ``trial_lines.trial_line`` writes it."""
_LONGEST = 100_000
"""Bytes of a trial, on the average, of which the quick way is used."""


@dataclass(frozen=True)
class QuickDigest:
    """What a file of trials says, with its trials in the order of their ids.

    Attributes:
        sha256: as in ``TrialsPart``.
        ids: ``digest_of_ids`` of them.
        outcomes: their letters.
    """

    sha256: str
    ids: str
    outcomes: str


def quick_digest(path: Path, cell: str, number: int) -> QuickDigest | None:
    """Return the digest of a file with a header and one whole line for each trial.

    Nothing is said of the seals. Whoever finds another digest than expected reads the file with
    ``TrialFile``, which says what is wrong.

    Args:
        path: the file.
        cell: key of the cell.
        number: how many trials there should be.

    Returns:
        The digest; None where the file holds anything else, such as a revoked trial.
    """
    found: list[tuple[bytes, bytes, bytes]] = []
    parts_of, sha256 = _LINE.fullmatch, hashlib.sha256
    try:
        with open_bounded(path, _LONGEST * (number + 1), inside=path.parent) as stream:
            # The whole file may be one line. A part of a line has no newline, so it does not match.
            next_line = partial(stream.readline, limit_of(LINES.line))
            header = read_header(next_line().removesuffix(b"\n"))
            if header is None or header.cell != cell:
                return None
            for line in iter(next_line, b""):
                parts = parts_of(line)
                if parts is None or len(found) == number:
                    return None
                content, id_, verdict = parts.groups()
                found.append((id_, verdict, sha256(content + b"}").digest()))
    except (Unreadable, OSError):
        return None
    found.sort()
    ids = [id_.decode() for id_, _, _ in found]
    # Of two errors of one example, the later counts.
    letters = [None if each == _ERROR else _LETTERS.get(each) for _, each, _ in found]
    if len(set(ids)) != len(ids) or None in letters:
        return None
    digest = sha256(cell.encode())
    digest.update(b"".join(each for _, _, each in found))
    outcomes = "".join(letter for letter in letters if letter)
    return QuickDigest(digest.hexdigest(), digest_of_ids(ids), outcomes)
