"""The trials of a run on disk: a header, then one sealed JSON line for each trial.

Lines are appended as trials end, so that a killed run continues where it stopped.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar, TypeVar

from robench._base.errors import RobenchError
from robench._base.line_file import LineFile
from robench._base.waiting import Patience
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

Each = TypeVar("Each", Trial, Sketch)
"""What is read of a trial: all of it, or a sketch."""


class TrialFile(LineFile):
    """The trials of one cell of the grid.

    The first line names the cell, and each line has a seal made with the key of the cell
    (``trial_lines``). A line whose seal does not fit is damaged: it is not a trial. Damage that a
    power cut leaves (blocks of NUL, halves of lines) is skipped. If an id occurs twice, because an
    error was tried again, the later line counts. The later line of another trial is damage, unless
    the trial was revoked in between. ``LineFile`` says how lines are written and locked.

    Args:
        path: the file.
        patience: how long to wait for another run that has the lock. None waits not at all.
        cell: key of the cell. A file of another cell is refused. None reads the file of any cell,
            and writes none.
        unsealed: whether a file without a header, as older versions wrote it, may be read. It is
            always read where ``cell`` is None.
    """

    holds: ClassVar[str] = "trials"

    def __init__(
        self,
        path: Path,
        patience: Patience | None = None,
        *,
        cell: str | None = None,
        unsealed: bool = False,
    ) -> None:
        super().__init__(path, patience)
        self._cell = cell
        self._may_be_unsealed = unsealed or cell is None

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
        whole = self.whole_lines()
        with no_sweeps():
            start = list(islice(whole, 1))
            header = self._checked_header(start[0][1]) if start and start[0][0] == 1 else None
            key = self._cell if header is None else header.cell
            sealed_with = None if header is None and self._may_be_unsealed else key
            trials: dict[str, Each] = {}

            def read_one(piece: bytes) -> Each | Revoked | str:
                return read(piece, sealed_with)

            for number, line in chain([] if header else start, whole):
                problem = _add(line, read_one, trials)
                if problem is not None:
                    self.note_damage(number, problem)
            return trials

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
        self.append_line(make_line(self._key()))

    def check_header(self, line: bytes) -> None:
        """Raise RobenchError where a first line is that of another cell or a newer robench."""
        self._checked_header(line)

    def new_header(self) -> bytes:
        """Return the first line of a new file."""
        return Header(self._key(), self.path.stem).line()

    def _open(self) -> int:
        # Without a key not even an empty file is made.
        self._key()
        return super()._open()

    def _key(self) -> str:
        """Return the key that seals new lines."""
        if self._cell is None:
            raise ValueError(f"'{self.path}' is written only with the key of its cell")
        return self._cell

    def _checked_header(self, line: bytes) -> Header | None:
        """Return the header in a first line, or None if there is none or it is damaged.

        The trials say by their seals which cell they belong to, so they outlive a damaged header.
        """
        header = read_header(line)
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
