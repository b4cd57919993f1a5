"""Open files that a stranger may have made: regular files only, and up to a limit of size.

A file is opened once, and the open file is checked, so a swap between check and use does not help.
``bounded_reading`` reads what is in them.

The limits are far above real use. ``ROBENCH_READ_LIMITS=10`` multiplies those of size by 10. The
bounds on depth and on the digits of a number stay, because no honest file needs more.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from robench._base.errors import RobenchError

FACTOR = "ROBENCH_READ_LIMITS"
"""The environment variable that multiplies the limits of size."""
KB, MB, GB = 1_000, 1_000_000, 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a file is read.

    Attributes:
        size: bytes of the file.
        line: bytes of one line, where a file is read line by line.
        text: characters of one string.
        depth: how deep lists and objects may lie in each other.
        digits: characters of one number.
        largest: the largest number, without its sign.
        finite: whether NaN and infinity are refused.
    """

    size: int = 16 * MB
    line: int = 16 * MB
    text: int = 10 * MB
    depth: int = 64
    digits: int = 64
    largest: float = math.inf
    finite: bool = True


DOCUMENT = Bounds()
"""For a card, a log or another file that robench writes."""
RECORD = Bounds(digits=32, largest=1e15)
"""For a record or a certificate, whose numbers are counts, seconds and rates."""
BY_HAND = Bounds(size=1 * MB, line=10 * KB, text=100 * KB, depth=16)
"""For a file that a person writes, such as a board or a configuration."""
LISTING = Bounds(size=64 * MB, line=10 * KB)
"""For a list of ids."""
LINES = Bounds(size=8 * GB)
"""For a file of robench with one JSON object a line, such as trials."""
DATA = Bounds(size=2 * GB, finite=False)
"""For a table of the user's own examples, where NaN stands for a missing cell."""
TEXT = Bounds(text=2 * MB)
"""For one text that a victim reads; the longest review of IMDB has 14,000 characters."""


class Unreadable(RobenchError):
    """A file that cannot be read, or holds something else than it should.

    Attributes:
        where: the file.
        reason: why, as a clause without a full stop. It fits into a sentence of the caller.
    """

    def __init__(self, where: object, reason: str, remedy: str = "") -> None:
        super().__init__(f"'{where}' cannot be read: {reason}.{remedy and ' '}{remedy}")
        self.where, self.reason = str(where), reason


class Missing(Unreadable):
    """A file that does not exist."""


class NoRegularFile(Unreadable):
    """A folder, a pipe, a socket, a device, or a link that leads nowhere or out of its folder."""

    @property
    def remedy(self) -> str:
        """What to do with it, as a sentence."""
        path = Path(self.where)
        if path.is_symlink():
            return "Put a copy of the file in the place of the link, or delete the link."
        if path.is_dir():
            return "Move this folder to another place; only files belong here."
        return "Delete it; only regular files belong here."


def limit_of(amount: int) -> int:
    """Return a limit of size, multiplied by ``ROBENCH_READ_LIMITS`` where that is set.

    Raises:
        RobenchError: the variable holds no number of at least 1.
    """
    text = os.environ.get(FACTOR, "")
    if not text:
        return amount
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise RobenchError(
            f"{FACTOR} is '{text[:40]}', but it takes a whole number from 1 to 999999. It "
            "multiplies the limits on the size of the files that are read."
        )
    return amount * int(text)


def how_to_raise(found: int, limit: int) -> str:
    """Return how a user lets robench read ``found``, where ``limit`` is the limit in force."""
    factor = limit_of(1) * -(-found // limit)
    if factor > 999_999:
        return "this is more than robench can read"
    return f"if you trust the file, {FACTOR}={factor} raises the limit"


def too_large(found: int, limit: int, unit: str = "bytes") -> str:
    """Return the clause about something larger than the limit in force."""
    return f"it has {found:,} {unit}, and the limit is {limit:,}; {how_to_raise(found, limit)}"


def open_bounded(path: Path, size: int | None, inside: Path | None = None) -> BufferedReader:
    """Open a regular file to read its bytes; close it as any file.

    Opening never waits, also for a named pipe.

    Args:
        path: the file. A link is followed.
        size: the limit in bytes, before ``ROBENCH_READ_LIMITS``; None for no limit.
        inside: a folder of a stranger, which the file must not leave through a link.

    Raises:
        Missing: there is no such file.
        NoRegularFile: it is no regular file, or a link that leads nowhere or out of ``inside``.
        Unreadable: it is too large, or may not be read.
    """
    try:
        # Opening a device may already do something, so the name is looked at first.
        _check_kind(path, path.stat().st_mode)
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing(path, "it does not exist") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NoRegularFile(path, why_not(error)) from error
        raise Unreadable(path, why_not(error)) from error
    except ValueError as error:
        raise Unreadable(repr(str(path)), "its name holds a NUL") from error
    try:
        found = os.fstat(descriptor)
        _check_kind(path, found.st_mode)
        if inside is not None:
            _check_inside(path, found, inside)
        if size is not None and found.st_size > limit_of(size):
            raise Unreadable(path, too_large(found.st_size, limit_of(size)))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = (
        (stat.S_ISDIR, "it is a folder"),
        (stat.S_ISFIFO, "it is a pipe, and robench reads regular files only"),
        (stat.S_ISSOCK, "it is a socket, and robench reads regular files only"),
    )
    device = "it is a device, and robench reads regular files only"
    raise NoRegularFile(path, next((what for test, what in kinds if test(mode)), device))


def _check_inside(path: Path, found: os.stat_result, folder: Path) -> None:
    """Raise Unreadable unless the open file lies in ``folder`` after all links are followed."""
    reason = f"it is a link that leads out of the folder {folder}; put a copy in its place"
    try:
        real = Path(os.path.realpath(path))
        # The name may have changed since the file was opened, so both must be the same file.
        same = os.path.samestat(os.lstat(real), found)
    except OSError as error:
        raise Unreadable(path, why_not(error)) from error
    if not same or not real.is_relative_to(os.path.realpath(folder)):
        raise NoRegularFile(path, reason)


def why_not(error: OSError) -> str:
    """Return the system's reason as a clause."""
    if error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    # A socket, and a pipe that nobody writes to.
    if error.errno == errno.ENXIO:
        return "it is no regular file"
    return error.strerror or str(error)


def decoded(content: bytes, where: object) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Raises:
        Unreadable: the bytes are not UTF-8. The reason names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} in line {line:,}"
        raise Unreadable(where, f"it is not UTF-8 text ({found})") from error
