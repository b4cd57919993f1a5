"""Seals: SHA-256 digests inside files, which show damage when a file is read.

Three kinds of files have one:

* A JSON document has a member ``"seal"``. It is the digest of all other members, so another layout
  of the same content is no damage.
* A line of a JSON lines file has a short ``"seal"``, which depends on what the file is about too.
  Verdicts seal their content (``line_seal``). Trials seal the bytes of the line (``seal_line``),
  which is faster to check, and their seal is always the last member.
* A binary file holds ``MARK`` and 64 hex digits. They are the digest of the file in which these
  digits are zeros.

A seal finds accidents and careless edits. Whoever can write into a folder can also write a seal
that fits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from robench._base.regular_files import open_bounded

SEAL: Final = "seal"
"""Name of the member of a JSON document or line that holds its seal."""
MARK: Final = b"robench.sha256="
"""Stands before the digits of the seal in a binary file."""
BLANK: Final = b"0" * 64
"""Stands for the digits before a binary file is sealed."""
LINE_DIGITS: Final = 16
"""Hex digits of the seal of a line."""
_BEFORE, _END = b',"seal":"', b'"}'
_SEALED_LENGTH = len(_BEFORE) + LINE_DIGITS + len(_END)
_NO_SEAL = "it has no seal, so it is damaged or an earlier version of robench wrote it"
_BLOCK = 1 << 20


class SealBroken(ValueError):
    """A file is not what was written: its seal is missing or does not fit."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``.
    """
    with open_bounded(path, None) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a JSON document, without its own seal.

    Raises:
        ValueError, TypeError, RecursionError: the content is no plain JSON.
    """
    rest = {name: value for name, value in content.items() if name != SEAL}
    # The way through JSON makes names of members strings, which decides their order.
    plain = json.loads(json.dumps(rest, allow_nan=False))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def with_seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document with its seal as the last member."""
    rest = {name: value for name, value in content.items() if name != SEAL}
    return {**rest, SEAL: seal_of(rest)}


def without_seal(content: Any, *, required: bool = True) -> dict[str, Any]:
    """Check the seal of a JSON document and return the document without it.

    Args:
        content: what was parsed.
        required: whether a document without a seal is refused. Earlier versions wrote none.

    Raises:
        SealBroken: the content is no JSON object, its seal does not fit, or it has none.
    """
    if not isinstance(content, dict):
        raise SealBroken("it holds no JSON object")
    if SEAL not in content:
        if required:
            raise SealBroken(_NO_SEAL)
        return dict(content)
    try:
        found = seal_of(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise SealBroken("it holds values that are never written") from error
    if content[SEAL] != found:
        raise SealBroken("its seal does not fit its content")
    return {name: value for name, value in content.items() if name != SEAL}


def line_seal(about: str, content: Mapping[str, Any]) -> str:
    """Return the seal of one line of a JSON lines file: 16 hex digits.

    Args:
        about: what the file is about, such as a key. The same line has another seal elsewhere.
        content: the line; a seal in it does not count.
    """
    return hashlib.sha256(f"{about} {seal_of(content)}".encode()).hexdigest()[:LINE_DIGITS]


def seal_line(content: bytes, about: str) -> bytes:
    """Return a JSON object with the seal of its bytes as the last member, and a newline.

    Args:
        content: the object's text, which has a member and no space at its end.
        about: what the file is about, such as a key. The same line has another seal elsewhere.
    """
    return b"".join((content[:-1], _BEFORE, seal_of_bytes(content, about), _END, b"\n"))


def split_line(line: bytes) -> tuple[bytes, bytes | None]:
    """Return the content of a line that ``seal_line`` made, and its seal; None without a seal.

    The line has no newline. The seal is not compared (``seal_of_bytes``).
    """
    if line[-_SEALED_LENGTH : -LINE_DIGITS - len(_END)] != _BEFORE or line[-2:] != _END:
        return line, None
    return line[:-_SEALED_LENGTH] + b"}", line[-LINE_DIGITS - len(_END) : -len(_END)]


def seal_of_bytes(content: bytes, about: str) -> bytes:
    """Return the seal that ``seal_line`` gives a line: 16 hex digits."""
    digest = _begun(about).copy()
    digest.update(content)
    return digest.hexdigest()[:LINE_DIGITS].encode()


@lru_cache(maxsize=4)
def _begun(about: str) -> hashlib._Hash:
    """Return a digest to copy; all lines of a file begin with it."""
    return hashlib.sha256(about.encode() + b"\n")


def seal_file(path: Path) -> None:
    """Write the seal of a binary file over the zeros after its last ``MARK``.

    Raises:
        OSError: the file cannot be read or written.
        SealBroken: the file has no place for a seal.
    """
    with path.open("rb+") as stream:
        place = _place(stream)
        digest = _digest(stream, place)
        stream.seek(place)
        stream.write(digest)


def check_sealed(stream: IO[bytes]) -> None:
    """Compare an open binary file with its seal, and go back to its beginning.

    Raises:
        OSError: the file cannot be read.
        SealBroken: the file has no seal, or its seal does not fit.
    """
    place = _place(stream)
    stream.seek(place)
    written = stream.read(len(BLANK))
    if written != _digest(stream, place):
        raise SealBroken("its SHA-256 is not the one that it was written with")
    stream.seek(0)


def add_to_zip(path: Path) -> None:
    """Put a place for the seal at the end of a zip archive, as the archive's comment.

    Raises:
        OSError: the file cannot be read or written.
        SealBroken: the file is no zip archive, or has a comment already.
    """
    comment = MARK + BLANK
    with path.open("rb+") as stream:
        stream.seek(-min(22, path.stat().st_size), os.SEEK_END)
        end = stream.read()
        if not end.startswith(b"PK\x05\x06") or not end.endswith(b"\0\0"):
            raise SealBroken("it is no zip archive without a comment")
        stream.seek(-2, os.SEEK_END)
        stream.write(len(comment).to_bytes(2, "little") + comment)


def _place(stream: IO[bytes]) -> int:
    """Return where the digits of the seal begin: behind the last ``MARK``."""
    end = stream.seek(0, os.SEEK_END)
    start, later = end, b""
    while start > 0:
        length = min(_BLOCK, start)
        start -= length
        stream.seek(start)
        block = stream.read(length)
        found = (block + later).rfind(MARK)
        if found >= 0:
            place = start + found + len(MARK)
            if place + len(BLANK) > end:
                break
            return place
        # A mark may lie across two blocks.
        later = (block + later)[: len(MARK) - 1]
    raise SealBroken(_NO_SEAL)


def _digest(stream: IO[bytes], place: int) -> bytes:
    """Return the digest of a file in which the digits of its seal are zeros, as hex digits."""
    total = hashlib.sha256()
    stream.seek(0)
    for block in _blocks(stream, place):
        total.update(block)
    total.update(BLANK)
    stream.seek(place + len(BLANK))
    for block in _blocks(stream, None):
        total.update(block)
    return total.hexdigest().encode()


def _blocks(stream: IO[bytes], length: int | None) -> Iterator[bytes]:
    """Yield the next ``length`` bytes of a file, or all that follow."""
    left = length
    while left is None or left > 0:
        block = stream.read(_BLOCK if left is None else min(_BLOCK, left))
        if not block:
            return
        if left is not None:
            left -= len(block)
        yield block
