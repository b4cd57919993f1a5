"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from robench._base.errors import RobenchError
from robench._base.files import sync_folder


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` (UTF-8) so that a reader, or a killed writer, sees the old file or the new one and nothing between.

    Raises:
        RobenchError: the disk is full, the folder cannot be written, and the like; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
            f"Cannot write {path}: {error.strerror or error}. Free some space or name another --out; what was finished before is kept."
        ) from error
