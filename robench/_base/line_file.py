"""Files of sealed lines that a run appends one by one, so that a killed run continues there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import ClassVar, Self

from robench._base.bounded_reading import (
    LINES,
    Missing,
    Unreadable,
    open_bounded,
    stream_lines,
)
from robench._base.errors import RobenchError
from robench._base.files import make_folder, sync_folder
from robench._base.no_exit import end_copy
from robench._base.waiting import Patience, Turn, open_locked

LINES_PER_SYNC = 16
"""Number of lines after which they are forced to the disk."""
LONGEST_HEADER = 4096
"""Number of bytes that a header has at most."""
SECONDS_PER_SYNC = 1.0
"""Seconds after which the next line is forced to the disk, even if there are few."""
MOST_NAMED = 5
"""Damaged lines whose numbers are said."""


class LineFile:
    """A file to which one run at a time appends lines.

    A line is written by one system call and ends in a newline. A last line without a newline was
    torn by a kill or a full disk. It does not count, and the next line that is written removes it.
    Damage further up that a power cut leaves is for the subclass to find, by the seals of lines.

    The file is locked for this run from the first line that is written until ``close``. As a
    context manager, the object locks it from the start. Where the last holder put the file aside
    while this run waited, a new file is begun.

    Args:
        path: the file; its folder is made where it is missing.
        patience: how long to wait for another run that has the lock. None waits not at all.

    Attributes:
        damaged: lines that the last reading skipped, wholly or in part.
        damage: where the first of them is and what is wrong with it, as a part of a sentence;
            empty without damage.
        damaged_lines: numbers of the first of these lines, from 1.
    """

    holds: ClassVar[str]
    """What the lines are, in the plural, such as ``"trials"``."""

    def __init__(self, path: Path, patience: Patience | None = None) -> None:
        self.path = path
        self.damaged, self.damage = 0, ""
        self.damaged_lines: list[int] = []
        self._patience = patience
        self._descriptor: int | None = None
        self._end = 0
        self._unsynced = 0
        self._synced_at = 0.0

    def check_header(self, line: bytes) -> None:
        """Raise RobenchError where a first line forbids writing; ``line`` has no newline."""

    def new_header(self) -> bytes:
        """Return the first line of a new file, with its newline; empty where it has no header."""
        return b""

    def whole_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number, from 1, and the text of each line that is not torn; no file has none.

        Damage is counted anew. Memory holds one line at a time.

        Raises:
            RobenchError: the file cannot be read.
        """
        self.damaged, self.damage, self.damaged_lines = 0, "", []
        try:
            with open_bounded(self.path, LINES.size, inside=self.path.parent) as stream:
                for number, (line, ended) in enumerate(stream_lines(stream, self.path, LINES), 1):
                    if not ended:
                        break
                    if line is None:
                        self.note_damage(number, f"it is longer than any of the {self.holds}")
                    else:
                        yield number, line
        except Missing:
            return
        except Unreadable as error:
            raise RobenchError(
                f"The {self.holds} in '{self.path}' cannot be read ({error.reason}). "
                "Check the path and its permissions."
            ) from error

    def note_damage(self, number: int, problem: str) -> None:
        """Count a damaged line; ``problem`` is a part of a sentence about it."""
        self.damaged += 1
        self.damage = self.damage or f"line {number}: {problem}"
        if len(self.damaged_lines) < MOST_NAMED:
            self.damaged_lines.append(number)

    @property
    def which_damage(self) -> str:
        """Which lines the last reading skipped, as a clause; empty without damage."""
        if self.damaged == 0:
            return ""
        if self.damaged == 1:
            where, _, why = self.damage.partition(": ")
            return f"{where} is damaged: {why}"
        numbers, rest = list(map(str, self.damaged_lines)), self.damaged - len(self.damaged_lines)
        last = f"{rest} more" if rest else numbers.pop()
        named = f"{', '.join(numbers)} and {last}"
        return f"{self.damaged} lines are damaged ({named}; {self.damage})"

    def append_line(self, line: bytes) -> None:
        """Write one line, which ends in a newline.

        Raises:
            RobenchError: another run has the file open, the header forbids it, or the disk is
                full. Lines written before remain.
        """
        end_copy()
        descriptor = self._open()
        try:
            self._write(descriptor, line)
            self._unsynced += 1
            if self._unsynced >= LINES_PER_SYNC or monotonic() - self._synced_at > SECONDS_PER_SYNC:
                self._sync(descriptor)
        except OSError as error:
            self._cut(descriptor)
            raise self._failed("written", error) from error

    def close(self) -> None:
        """Force the written lines to the disk and release the file."""
        if self._descriptor is None:
            return
        try:
            self._sync(self._descriptor)
        except OSError as error:
            raise self._failed("written", error) from error
        finally:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Lock out other runs; raise RobenchError as ``append_line`` does."""
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> int:
        if self._descriptor is None:
            try:
                make_folder(self.path.parent)
                turn = Turn(f"Another run is writing '{self.path}'.", self._patience)
                descriptor = open_locked(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, turn)
                try:
                    turn.over()
                    self._begin(descriptor)
                except BaseException:
                    os.close(descriptor)
                    raise
            except OSError as error:
                raise self._failed("opened", error) from error
            self._descriptor, self._synced_at = descriptor, monotonic()
        return self._descriptor

    def _begin(self, descriptor: int) -> None:
        """Check the header, remove a torn last line, and write the header of a new file."""
        self.check_header(os.pread(descriptor, LONGEST_HEADER, 0).partition(b"\n")[0])
        self._end = _end_of_last_line(descriptor)
        # Truncating would change the date of an undamaged file.
        if self._end != os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, self._end)
        if self._end == 0:
            self._write(descriptor, self.new_header())
            os.fsync(descriptor)
            sync_folder(self.path.parent)

    def _write(self, descriptor: int, line: bytes) -> None:
        rest = line
        # A disk that fills up writes a part of the line. The next call writes on, or raises why.
        while rest:
            written = os.write(descriptor, rest)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            rest = rest[written:]
        self._end += len(line)

    def _sync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        self._unsynced, self._synced_at = 0, monotonic()

    def _cut(self, descriptor: int) -> None:
        """Remove a half-written line; if this fails too, reading ignores the line."""
        try:
            os.ftruncate(descriptor, self._end)
        except OSError:
            return

    def _failed(self, what: str, error: OSError) -> RobenchError:
        return RobenchError(
            f"The {self.holds} in '{self.path}' cannot be {what} ({error.strerror}). Finished "
            f"{self.holds} are kept. Free some space or correct the path, then run the same "
            "command again."
        )


def _end_of_last_line(descriptor: int) -> int:
    """Return the length of the file up to and including its last newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
