"""Wait for a lock that another run holds."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench._base.files import lock, make_folder, open_itself

POLL_SECONDS = 0.25
"""Seconds between two tries. A try costs one call of the system."""
LOOKS, LOOK_SECONDS = 3, 0.01
"""Tries before a lock counts as held, and seconds between them. A run that looks holds it, too."""


@dataclass(frozen=True)
class Patience:
    """How long a run waits for another run that works on the same part.

    Attributes:
        seconds: the longest wait, or None for as long as it takes.
        say: shows a sentence to the user.
    """

    seconds: float | None
    say: Callable[[str], None]


def is_held(path: Path) -> bool:
    """Return whether another run holds the lock of a file at this moment.

    The answer may be wrong a moment later. It is for choosing what to do first.
    """
    try:
        descriptor = open_itself(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock(descriptor)
    finally:
        os.close(descriptor)


class Turn:
    """The turn of this run at one file that runs lock one after another.

    A lock of a process that died is free at once, because the system releases it.

    Args:
        who: a sentence about the other run, such as ``"Another run is training 'a'."``.
        patience: how long to wait. None waits not at all.

    Attributes:
        waited: whether another run held the lock.
    """

    def __init__(self, who: str, patience: Patience | None) -> None:
        self._who, self._patience = who, patience
        self._since = 0.0
        self.waited = False

    def take(self, descriptor: int) -> None:
        """Lock the open file, after the other run has released it.

        Raises:
            RobenchError: another run has the lock, and the patience is at its end.
        """
        if _locked_soon(descriptor):
            return
        while not lock(descriptor):
            self._keep_waiting()
            time.sleep(POLL_SECONDS)

    def over(self) -> None:
        """Say how long the wait was, where there was one."""
        if self.waited and self._patience is not None:
            seconds = time.monotonic() - self._since
            self._patience.say(f"The other run has ended this part; the wait took {seconds:.0f} s.")

    def _keep_waiting(self) -> None:
        if self._patience is None:
            raise RobenchError(f"{self._who} Wait until it has ended, or choose another --out.")
        if not self.waited:
            self.waited, self._since = True, time.monotonic()
            self._patience.say(f"{self._who} This run waits for it.")
        limit = self._patience.seconds
        if limit is not None and time.monotonic() - self._since >= limit:
            raise RobenchError(
                f"{self._who} This run has waited {limit:g} s for it (--wait). "
                "Run the same command again later, or choose another --out."
            )


def _locked_soon(descriptor: int) -> bool:
    """Take a lock that is free, or that another run holds only to look (``is_held``)."""
    for _ in range(LOOKS):
        if lock(descriptor):
            return True
        time.sleep(LOOK_SECONDS)
    return False


@contextlib.contextmanager
def alone(path: Path, who: str, patience: Patience | None = None) -> Iterator[bool]:
    """Hold the lock file ``path`` while the block runs, and remove the file afterwards.

    A lock file that a killed process left behind stops nobody: the system released its lock.

    Args:
        path: the lock file; its folder is made where it is missing.
        who: a sentence about the run that may have the lock.
        patience: how long to wait for that run. None waits not at all.

    Yields:
        Whether this run had to wait.

    Raises:
        RobenchError: another run has the lock, or the file cannot be made.
    """
    turn = Turn(who, patience)
    descriptor = _hold(path, turn)
    turn.over()
    try:
        yield turn.waited
    finally:
        # Remove the file before its lock is released: afterwards it may be another run's lock.
        # Windows cannot remove an open file; there the file stays, which does no harm.
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _hold(path: Path, turn: Turn) -> int:
    """Open and lock ``path``, and return its descriptor."""
    try:
        make_folder(path.parent)
        return open_locked(path, os.O_RDWR | os.O_CREAT, turn)
    except OSError as error:
        raise RobenchError(
            f"The lock file '{path}' cannot be made ({error.strerror}). "
            "Free some space or choose another --out."
        ) from error


def open_locked(path: Path, flags: int, turn: Turn) -> int:
    """Open the file that ``path`` names, lock it, and return its descriptor.

    The last holder may remove or rename the file while this run waits. A lock on that file keeps
    nobody out, and what is written there is lost. So the file is opened again then.

    Args:
        path: the file; its folder is there.
        flags: of ``os.open``.
        turn: waits for the other run.

    Raises:
        RobenchError: another run has the lock, and the patience is at its end.
        OSError: the file cannot be opened; see ``files.open_itself``.
    """
    while True:
        descriptor = open_itself(path, flags)
        try:
            turn.take(descriptor)
            if _is_still(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether ``path`` still names the file that is open as ``descriptor``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
