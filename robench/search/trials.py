"""The trials of a run on disk: a header, then one sealed JSON line for each trial.

Lines are appended as trials end, so that a killed run continues where it stopped.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import BinaryIO, TypeVar

from robench._base.bounded_reading import (
    LINES,
    Missing,
    Unreadable,
    open_bounded,
    stream_lines,
)
from robench._base.errors import RobenchError
from robench._base.files import make_folder, open_itself, sync_folder
from robench._base.waiting import Patience, Turn
from robench.search.attack import Trial, Verdict
from robench.search.trial_lines import (
    VERSION,
    Header,
    Revoked,
    Sketch,
    read_header,
    read_line,
    read_sketch,
    trial_line,
)

LINES_PER_SYNC = 16
"""Number of lines after which they are forced to the disk."""
LONGEST_HEADER = 4096
"""Number of bytes that a header has at most."""
SECONDS_PER_SYNC = 1.0
"""Seconds after which the next line is forced to the disk, even if there are few."""

Each = TypeVar("Each", Trial, Sketch)
"""What is read of a trial: all of it, or a sketch."""


class TrialFile:
    """The trials of one cell of the grid.

    The first line names the cell, and each line has a seal made with the key of the cell
    (``trial_lines``). A line whose seal does not fit is damaged: it is not a trial. A line is
    written by one system call and ends in a newline. A last line without a newline was torn by a
    kill or a full disk. It is not a trial either, and the next ``append`` removes it. Damage
    further up that a power cut leaves (blocks of NUL, halves of lines) is skipped. If an id
    occurs twice, because an error was tried again, the later line counts. The later line of
    another trial is damage, unless the trial was revoked in between.

    The file is locked for this run from the first ``append`` until ``close``. As a context
    manager, the object locks it from the start.

    Args:
        path: the file.
        patience: how long to wait for another run that has the lock. None waits not at all.
        cell: key of the cell. A file of another cell is refused. None reads the file of any cell,
            and writes none.
        unsealed: whether a file without a header, as older versions wrote it, may be read. It is
            always read where ``cell`` is None.

    Attributes:
        damaged: lines that the last ``read`` skipped, wholly or in part.
        damage: where the first of them is and what is wrong with it, as a part of a sentence;
            empty without damage.
    """

    def __init__(
        self,
        path: Path,
        patience: Patience | None = None,
        *,
        cell: str | None = None,
        unsealed: bool = False,
    ) -> None:
        self.path = path
        self._patience = patience
        self._cell = cell
        self._may_be_unsealed = unsealed or cell is None
        self.damaged, self.damage = 0, ""
        self._descriptor: int | None = None
        self._end = 0
        self._unsynced = 0
        self._synced_at = 0.0

    def read(self) -> list[Trial]:
        """Return all trials, in the order in which their ids first occur; [] without a file.

        Raises:
            RobenchError: the file cannot be read, holds the trials of another cell, or comes from
                a newer robench.
        """
        return list(self._gathered(read_line).values())

    def sketches(self) -> dict[str, Sketch]:
        """Return what most readers need of all trials, by id, as ``read`` returns the trials.

        Raises:
            RobenchError: see ``read``.
        """
        return self._gathered(read_sketch)

    def _gathered(
        self, read: Callable[[bytes, str | None], Each | Revoked | str]
    ) -> dict[str, Each]:
        """Return what ``read`` makes of the lines, by id, and note what is damaged."""
        self.damaged, self.damage = 0, ""
        try:
            with (
                open_bounded(self.path, LINES.size, inside=self.path.parent) as stream,
                no_sweeps(),
            ):
                return self._trials(stream, read)
        except Missing:
            return {}
        except Unreadable as error:
            raise RobenchError(
                f"The trials in '{self.path}' cannot be read ({error.reason}). "
                "Check the path and its permissions."
            ) from error

    def ids_done(self, *, errors: bool = True) -> set[str]:
        """Return ids that need not be attacked again; ``errors=False`` leaves out ERROR trials."""
        known = self.sketches().values()
        return {each.id for each in known if errors or each.verdict != Verdict.ERROR}

    def append(self, trial: Trial) -> None:
        """Write one trial.

        Raises:
            RobenchError: another run has the file open, it holds the trials of another cell, or
                the disk is full. Trials written before remain.
        """
        self._append(partial(trial_line, trial))

    def revoke(self, example: str, reason: str) -> None:
        """Write that the trial of an example cannot be true, so that its next trial counts.

        Args:
            example: its id.
            reason: what is impossible about the trial.

        Raises:
            RobenchError: see ``append``.
        """
        self._append(Revoked(example, reason).line)

    def _append(self, make_line: Callable[[str], bytes]) -> None:
        """Write the line that is made with the key of the cell."""
        descriptor = self._open()
        assert self._cell is not None
        line = make_line(self._cell)
        try:
            self._write(descriptor, line)
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

    def _trials(
        self, stream: BinaryIO, read: Callable[[bytes, str | None], Each | Revoked | str]
    ) -> dict[str, Each]:
        whole = stream_lines(stream, self.path, LINES)
        first = next(whole, (b"", False))
        header = self._checked_header(first[0] or b"")
        key = self._cell if header is None else header.cell
        sealed_with = None if header is None and self._may_be_unsealed else key
        trials: dict[str, Each] = {}

        def read_one(piece: bytes) -> Each | Revoked | str:
            return read(piece, sealed_with)

        lines = enumerate(chain([] if header is not None else [first], whole), 1 + bool(header))
        for number, (line, ended) in lines:
            # A last line without a newline is torn.
            if not ended:
                break
            if line is None:
                self._note_damage(number, "it is longer than any trial")
                continue
            problem = _add(line, read_one, trials)
            if problem is not None:
                self._note_damage(number, problem)
        return trials

    def _note_damage(self, number: int, problem: str) -> None:
        self.damaged += 1
        self.damage = self.damage or f"line {number}: {problem}"

    def _checked_header(self, line: bytes) -> Header | None:
        """Return the header in a first line, or None if there is none or it is damaged.

        The trials say by their seals which cell they belong to, so they outlive a damaged header.
        """
        header = read_header(line.removesuffix(b"\n"))
        if header is None:
            return None
        if header.version > VERSION:
            raise RobenchError(
                f"The trials in '{self.path}' have format {header.version}, and this robench reads "
                f"{VERSION}. Update robench."
            )
        if self._cell is not None and header.cell != self._cell:
            raise RobenchError(
                f"'{self.path}' holds the trials of another cell ({header.name}). Put the right "
                "file there, or delete it and run the same command again."
            )
        return header

    def _open(self) -> int:
        if self._cell is None:
            raise ValueError(f"'{self.path}' is written only with the key of its cell")
        if self._descriptor is None:
            try:
                make_folder(self.path.parent)
                descriptor = open_itself(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
                try:
                    turn = Turn(f"Another run is writing '{self.path}'.", self._patience)
                    turn.take(descriptor)
                    turn.over()
                    self._begin(descriptor, self._cell)
                except BaseException:
                    os.close(descriptor)
                    raise
            except OSError as error:
                raise self._failed("opened", error) from error
            self._descriptor, self._synced_at = descriptor, monotonic()
        return self._descriptor

    def _begin(self, descriptor: int, cell: str) -> None:
        """Check the header, remove a torn last line, and write the header of a new file."""
        self._checked_header(os.pread(descriptor, LONGEST_HEADER, 0).partition(b"\n")[0])
        self._end = _end_of_last_line(descriptor)
        # Truncating would change the date of an undamaged file.
        if self._end != os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, self._end)
        if self._end == 0:
            self._write(descriptor, Header(cell, self.path.stem).line())
            os.fsync(descriptor)
            sync_folder(self.path.parent)

    def _write(self, descriptor: int, line: bytes) -> None:
        written = os.write(descriptor, line)
        # The disk filled up in the middle of the line. The second call raises the reason.
        if written != len(line):
            os.write(descriptor, line[written:])
        self._end += len(line)

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


def _add(
    line: bytes, read: Callable[[bytes], Each | Revoked | str], trials: dict[str, Each]
) -> str | None:
    """Add the trials of a line to ``trials``; return what is wrong with it, or None.

    JSON holds no NUL, so the text after a block of NULs may be a whole trial again.
    """
    if b"\0" in line:
        for piece in filter(None, line.split(b"\0")):
            _add(piece, read, trials)
        return "a part of it was never written"
    found = read(line)
    if isinstance(found, str):
        return found
    if isinstance(found, Revoked):
        trials.pop(found.id, None)
        return None
    known = trials.get(found.id)
    if known is not None and known.verdict != Verdict.ERROR:
        return f"{found.id} has a trial already"
    trials[found.id] = found
    return None


@contextmanager
def no_sweeps() -> Iterator[None]:
    """Keep Python from looking for garbage while many objects are made that all stay.

    Reading 100,000 trials takes half of the time so.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
