"""The run's trials on disk: one JSON line each, appended, so that a killed run goes on where it was."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from types import TracebackType

from pydantic import ValidationError

from robench._base.errors import RobenchError
from robench._base.files import lock
from robench.search.attack import Trial, Verdict

LINES_PER_SYNC = 16
"""Lines after which they are forced to the disk."""
SECONDS_PER_SYNC = 1.0
"""Seconds after which the next line is forced to the disk, however few they are."""


class TrialFile:
    """Trials of one cell of the grid.

    A line is written by one system call and ends in a newline; a last line without one was torn by a kill or a full disk, is no trial, and is cut off by
    the next ``append``. What a power cut leaves further up (blocks of NUL, halves of lines) is passed over. Where an id stands twice (an error that was
    tried again), the later line counts. As a context manager it is this run's alone from the beginning, else from the first ``append`` until ``close``.

    Attributes:
        damaged: lines passed over, wholly or in part, by the last ``read``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._descriptor: int | None = None
        self._end = 0
        self._unsynced = 0
        self._synced_at = 0.0

    def read(self) -> list[Trial]:
        """All trials, in the order in which their ids first came; empty when there is no file.

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
                f"The trials in '{self.path}' cannot be read ({error.strerror}). Check the path and its permissions."
            ) from error
        trials: dict[str, Trial] = {}
        for line in content.split(b"\n")[:-1]:
            found, sound = _trials_of(line)
            self.damaged += not sound
            trials |= {trial.id: trial for trial in found}
        return list(trials.values())

    def ids_done(self, *, errors: bool = True) -> set[str]:
        """Ids that need not be attacked again; ``errors=False`` leaves those out whose trial is an ERROR."""
        return {trial.id for trial in self.read() if errors or trial.verdict != Verdict.ERROR}

    def append(self, trial: Trial) -> None:
        """Write one trial.

        Raises:
            RobenchError: another run has the file open, or the disk is full; what was finished before stays.
        """
        line = trial.model_dump_json().encode() + b"\n"
        descriptor = self._open()
        try:
            written = os.write(descriptor, line)
            if written != len(
                line
            ):  # the disk filled up in the middle of the line; the next call says why
                os.write(descriptor, line[written:])
            self._end += len(line)
            self._unsynced += 1
            if self._unsynced >= LINES_PER_SYNC or monotonic() - self._synced_at > SECONDS_PER_SYNC:
                self._sync()
        except OSError as error:
            self._cut()
            raise self._failed("written", error) from error

    def close(self) -> None:
        """Force what was written to the disk and let the file go."""
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
        """Keep other runs out; raises RobenchError as ``append`` does."""
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
                if not lock(self._descriptor):
                    os.close(self._descriptor)
                    self._descriptor = None
                    raise RobenchError(
                        f"Another run is writing '{self.path}'. Wait until it has ended, or choose another --out."
                    )
                self._end = _end_of_last_line(self._descriptor)
                if (
                    self._end != os.fstat(self._descriptor).st_size
                ):  # a file that is whole keeps its date
                    os.ftruncate(self._descriptor, self._end)
            except OSError as error:
                raise self._failed("opened", error) from error
            self._synced_at = monotonic()
        return self._descriptor

    def _sync(self) -> None:
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        self._unsynced, self._synced_at = 0, monotonic()

    def _cut(self) -> None:
        """Take a half-written line back; where even that fails, reading drops it."""
        try:
            os.ftruncate(self._descriptor or -1, self._end)
        except OSError:
            return

    def _failed(self, what: str, error: OSError) -> RobenchError:
        remedy = (
            "Finished ones are kept: make room or mend the path, then run the same command again."
        )
        return RobenchError(
            f"The trials in '{self.path}' cannot be {what} ({error.strerror}). {remedy}"
        )


def _trials_of(line: bytes) -> tuple[list[Trial], bool]:
    """The trials of a line, and whether it is one sound trial. JSON holds no NUL, so whatever follows a block of them may be whole again."""
    found = []
    for piece in line.split(b"\0"):
        try:
            found.append(Trial.model_validate_json(piece))
        except ValidationError:
            continue
    return found, len(found) == 1 and b"\0" not in line


def _end_of_last_line(descriptor: int) -> int:
    """Length of the file up to and including its last newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
