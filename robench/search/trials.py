"""The trials of a run on disk, one JSON line each.

Lines are appended as trials end, so that a killed run continues where it stopped.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from types import TracebackType

from pydantic import ValidationError

from robench._base.errors import RobenchError
from robench._base.waiting import Patience, Turn
from robench.search.attack import Trial, Verdict

LINES_PER_SYNC = 16
"""Number of lines after which they are forced to the disk."""
SECONDS_PER_SYNC = 1.0
"""Seconds after which the next line is forced to the disk, even if there are few."""


class TrialFile:
    """The trials of one cell of the grid.

    A line is written by one system call and ends in a newline. A last line without a newline was
    torn by a kill or a full disk. It is not a trial, and the next ``append`` removes it. Damage
    further up that a power cut leaves (blocks of NUL, halves of lines) is skipped. If an id
    occurs twice, because an error was tried again, the later line counts.

    The file is locked for this run from the first ``append`` until ``close``. As a context
    manager, the object locks it from the start.

    Args:
        path: the file.
        patience: how long to wait for another run that has the lock. None waits not at all.

    Attributes:
        damaged: lines that the last ``read`` skipped, wholly or in part.
    """

    def __init__(self, path: Path, patience: Patience | None = None) -> None:
        self.path = path
        self._patience = patience
        self.damaged = 0
        self._descriptor: int | None = None
        self._end = 0
        self._unsynced = 0
        self._synced_at = 0.0

    def read(self) -> list[Trial]:
        """Return all trials, in the order in which their ids first occur; [] without a file.

        Raises:
            RobenchError: the file cannot be read.
        """
        self.damaged = 0
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RobenchError(
                f"The trials in '{self.path}' cannot be read ({error.strerror}). "
                "Check the path and its permissions."
            ) from error
        trials: dict[str, Trial] = {}
        for line in content.split(b"\n")[:-1]:
            found, sound = _trials_of(line)
            self.damaged += not sound
            trials |= {trial.id: trial for trial in found}
        return list(trials.values())

    def ids_done(self, *, errors: bool = True) -> set[str]:
        """Return ids that need not be attacked again; ``errors=False`` leaves out ERROR trials."""
        return {trial.id for trial in self.read() if errors or trial.verdict != Verdict.ERROR}

    def append(self, trial: Trial) -> None:
        """Write one trial.

        Raises:
            RobenchError: another run has the file open, or the disk is full. Trials written
                before remain.
        """
        line = trial.model_dump_json().encode() + b"\n"
        descriptor = self._open()
        try:
            written = os.write(descriptor, line)
            # The disk filled up in the middle of the line. The second call raises the reason.
            if written != len(line):
                os.write(descriptor, line[written:])
            self._end += len(line)
            self._unsynced += 1
            if self._unsynced >= LINES_PER_SYNC or monotonic() - self._synced_at > SECONDS_PER_SYNC:
                self._sync()
        except OSError as error:
            self._cut()
            raise self._failed("written", error) from error

    def close(self) -> None:
        """Force the written lines to the disk and release the file."""
        if self._descriptor is None:
            return
        try:
            self._sync()
        except OSError as error:
            raise self._failed("written", error) from error
        finally:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> TrialFile:
        """Lock out other runs; raise RobenchError as ``append`` does."""
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
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
                self._lock(self._descriptor)
                self._end = _end_of_last_line(self._descriptor)
                # Truncating would change the date of an undamaged file.
                if self._end != os.fstat(self._descriptor).st_size:
                    os.ftruncate(self._descriptor, self._end)
            except OSError as error:
                raise self._failed("opened", error) from error
            self._synced_at = monotonic()
        return self._descriptor

    def _lock(self, descriptor: int) -> None:
        turn = Turn(f"Another run is writing '{self.path}'.", self._patience)
        try:
            turn.take(descriptor)
        except BaseException:
            os.close(descriptor)
            self._descriptor = None
            raise
        turn.over()

    def _sync(self) -> None:
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        self._unsynced, self._synced_at = 0, monotonic()

    def _cut(self) -> None:
        """Remove a half-written line; if this fails too, reading ignores the line."""
        try:
            os.ftruncate(self._descriptor or -1, self._end)
        except OSError:
            return

    def _failed(self, what: str, error: OSError) -> RobenchError:
        remedy = (
            "Finished trials are kept. Free some space or correct the path, "
            "then run the same command again."
        )
        return RobenchError(
            f"The trials in '{self.path}' cannot be {what} ({error.strerror}). {remedy}"
        )


def _trials_of(line: bytes) -> tuple[list[Trial], bool]:
    """Return the trials of a line, and whether the line is exactly one undamaged trial.

    JSON holds no NUL, so the text after a block of NULs may be a whole trial again.
    """
    found = []
    for piece in line.split(b"\0"):
        try:
            found.append(Trial.model_validate_json(piece))
        except ValidationError:
            continue
    return found, len(found) == 1 and b"\0" not in line


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
