"""Files that several processes and power cuts meet: locks, what is forced to the disk, and how a full one is known."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from robench._base.errors import RobenchError


def lock(descriptor: int) -> bool:
    """Take the lock of an open file until it is closed or the process ends; False where somebody else has it.

    On a file system without locks it counts as taken.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def alone(path: Path, held: str) -> Iterator[None]:
    """Hold the lock file ``path`` while a block lasts, and remove it afterwards. One that a killed process left holds nobody up.

    Raises:
        RobenchError: ``held``, where somebody else holds it; or the file cannot be made.
    """
    descriptor = _hold(path, held)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock goes: afterwards it may be another's
        os.close(descriptor)


def _hold(path: Path, held: str) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RobenchError(
                f"The lock file '{path}' cannot be made ({error.strerror}). Free some space or choose another --out."
            ) from error
        if not lock(descriptor):
            os.close(descriptor)
            raise RobenchError(held)
        if _is_still(path, descriptor):
            return descriptor
        os.close(
            descriptor
        )  # whoever held it removed it between our opening and our locking: what we hold has no name any more


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sync_tree(folder: Path) -> None:
    """Force every file in ``folder``, and the names in it and in every folder below, to the disk; raises OSError where a file cannot be."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make names given in ``folder`` (a new file, a renaming) durable where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, what caused it, what caused that."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def system_error(error: BaseException) -> OSError | None:
    """The system's own error, where it is ``error`` or one of its causes: libraries say less than it does."""
    return next((cause for cause in causes(error) if isinstance(cause, OSError)), None)


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk or the quota is used up: torch and safetensors wrap the system's error in their own."""
    full = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    return (
        (isinstance(error, OSError) and error.errno in full)
        or "No space left on device" in str(error)
        or "os error 28" in str(error)
    )
