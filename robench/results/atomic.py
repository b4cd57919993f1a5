"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from robench._base.errors import RobenchError
from robench._base.files import sync_folder


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` (UTF-8) in one step.

    A reader sees either the old file or the new one, also when the writer is killed.

    Raises:
        RobenchError: the file cannot be written, for example because the disk is full. The old
            file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The content must be on the disk before the file gets its name. Otherwise a power cut
        # could leave an empty file under that name.
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RobenchError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or name another "
            "--out. Everything that was finished before is kept."
        ) from error
