"""Safe files: written whole or not at all, locked, forced to the disk; and disk errors.

Several processes may use the same files, and a power cut may come at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import lock_descriptor

from robench._base.errors import RobenchError
from robench._base.escaping import text_of
from robench._base.no_exit import end_copy

ABANDONED = 600.0
"""Seconds after which nobody writes an unfinished file any more that did not change."""
_TOKEN_BYTES = 8
"""Random bytes in the name of an unfinished file."""


@contextlib.contextmanager
def atomic_file(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Write a file whole or not at all.

    A reader sees either the old file or the new one, even when the writer is killed.

    Args:
        path: the file; its folder is made where it is missing.
        temporary: a fixed name beside ``path`` for the unfinished file. A large file needs one, so
            that the next run overwrites what a killed run left. Only the holder of a lock may use
            it. The default is a new name each time, so writers on several machines or in several
            threads have each their own.

    Yields:
        The path to write to. It takes the name ``path`` when the block ends without an error.

    Raises:
        OSError: the file cannot be written. The old file is untouched.
    """
    end_copy()
    make_folder(path.parent)
    if temporary is None:
        _remove_litter(path)
        temporary = _new_temporary(path)
    else:
        remove_link(temporary)
    try:
        yield temporary
        # The content must be on the disk before the file gets its name. Otherwise a power cut
        # could leave an empty file under that name.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _new_temporary(path: Path) -> Path:
    """Make an empty file beside ``path`` that nobody else has, and return its path.

    The number of the process does not do for this: many containers that share a folder have 1.
    """
    while True:
        token = secrets.token_hex(_TOKEN_BYTES)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{token}.tmp")
        with contextlib.suppress(FileExistsError):
            # Everybody may read the file, as far as the umask allows. No link is followed.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            return temporary


def _remove_litter(path: Path) -> None:
    """Remove unfinished files of ``path`` that killed processes left.

    A process on another machine may have written one, so its age decides and not its number.
    """
    # Earlier versions wrote no random part.
    unfinished = re.compile(
        rf"\.{re.escape(path.name)}\.[0-9]+(\.[0-9a-f]{{{2 * _TOKEN_BYTES}}})?\.tmp"
    )
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not unfinished.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age > ABANDONED:
                    Path(entry.path).unlink()


def open_itself(path: Path, flags: int) -> int:
    """Open the file that ``path`` names, and return its descriptor; a link is not followed.

    In the folder of a stranger, a link would lead the writing to any file of the user. Links among
    the folders above are followed: a user may keep a part of a run on another disk.

    Args:
        path: the file.
        flags: of ``os.open``. A file that is made may be read by everybody.

    Raises:
        OSError: the system refuses, or ``path`` is no regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        # Opening a device may already do something, so the name is looked at first.
        _check_regular(path, path.lstat().st_mode)
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link; put the file itself in its place", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def remove_link(path: Path) -> None:
    """Remove ``path`` where it is a link, so that writing there does not follow it.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_symlink():
        path.unlink(missing_ok=True)


def is_local_path(location: str) -> bool:
    """Return whether ``location`` can only be a folder: a hub id is ``name`` or ``owner/name``."""
    return location.startswith(("/", ".", "~")) or "\\" in location or location.count("/") > 1


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` (UTF-8) in one step; see ``atomic_file``.

    Raises:
        RobenchError: the file cannot be written, for example because the disk is full. The old
            file is untouched.
    """
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        remedy = "Free some space or name" if is_disk_full(error) else "Name"
        raise RobenchError(
            f"Cannot write {path}: {error.strerror or error}. {remedy} another --out. Everything "
            "that was finished before is kept."
        ) from error


def lock(descriptor: int) -> bool:
    """Take the lock of an open file, and return False where another process or thread has it.

    The lock lasts until the file is closed or the process ends. On a file system without locks it
    counts as taken.
    """
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True


def wait_for_lock(descriptor: int) -> None:
    """Take the lock of an open file or folder; wait for as long as others have it.

    Nothing happens on a file system without locks.
    """
    with contextlib.suppress(OSError):
        lock_descriptor(descriptor, blocking=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, and force their names to the disk.

    Raises:
        OSError: a folder cannot be made.
    """
    missing = []
    for each in (folder, *folder.parents):
        if each.exists():
            break
        missing.append(each)
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def sync_tree(folder: Path) -> None:
    """Force everything below ``folder`` to the disk: the files and their names.

    Raises:
        OSError: a file cannot be forced to the disk.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Force the names in ``folder`` (of new and renamed files) to the disk.

    Nothing happens where the system cannot do this for a folder.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, its cause, the cause of that, and so on, each once."""
    current: BaseException | None = error
    # Code of a plugin can make an error its own cause.
    seen = set[int]()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def system_error(error: BaseException) -> OSError | None:
    """Return the operating system's error among ``error`` and its causes; None where there is none.

    It says more than the error of a library that wraps it.
    """
    for cause in causes(error):
        if isinstance(cause, OSError):
            return cause
    return None


def is_disk_full(error: BaseException) -> bool:
    """Return whether the error says that the disk or the quota is used up."""
    full = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    if isinstance(error, OSError) and error.errno in full:
        return True
    # torch and safetensors put the system's error into the text of their own.
    return any(text in text_of(error) for text in ("No space left on device", "os error 28"))
