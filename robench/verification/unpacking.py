"""Unpack the archive of a run into a temporary folder, with bounds."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Final

from robench._base.errors import RobenchError, UsageError
from robench._base.escaping import NAME, one_line
from robench.submission.manifest import ADVERSARIAL, ROOT_FILES
from robench.tasks.archives import SUFFIXES, members, report_damage

MOST_MEMBERS: Final = 50_000
"""Files of the largest archive."""
MOST_RATIO: Final = 200
"""How many times larger than the archive its files may be; a bomb is larger by thousands."""
FREE_BYTES: Final = 64 * 2**20
"""Bytes for which the ratio does not count."""
WANTED: Final = (
    *("records", "trials", "examples", "surfaces", "victims", "certificates"),
    ADVERSARIAL,
)
"""Folders of a run or a submission that are unpacked; beside them only ``ROOT_FILES`` are."""
_BLOCK = 2**20
_NO_NAME: Final = (errno.ENAMETOOLONG, errno.EILSEQ)
"""Errors of a name that no file of the disk can have; no run has such a file."""


def is_archive(path: Path) -> bool:
    """Return whether a path is that of an archive, by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpack(archive: Path, target: Path, passed_over: list[str] | None = None) -> Path:
    """Unpack the archive of a run's folder into ``target``, and return the folder of the run.

    Only regular files of a run's own folders are written. A name that leads out of the folder, a
    link and a device are passed over.

    Args:
        archive: the archive.
        target: where it is unpacked.
        passed_over: receives the names of regular files that were not written, also of a second
            one with the same name.

    Raises:
        UsageError: the archive is damaged, is too large, or holds no records or those of several
            runs.
        RobenchError: ``target`` cannot be written.
    """
    skipped = [] if passed_over is None else passed_over
    left, number = archive.stat().st_size * MOST_RATIO + FREE_BYTES, 0
    roots: set[Path] = set()
    for name, stream in members(archive):
        place = _place(name)
        number += 1
        if number > MOST_MEMBERS:
            raise _too_large(archive, f"it holds more than {MOST_MEMBERS:,} files")
        if place is None:
            skipped.append(name)
            continue
        root, kind = _root(place)
        if kind == "records":
            roots.add(root)
        size = _write(stream, target / place, left, archive)
        if size is None:
            skipped.append(name)
        left -= size or 0
    if not roots:
        raise UsageError(
            f"The archive {archive} holds no folder 'records'. Pack the folder that "
            "'robench evaluate --out' wrote."
        )
    if len(roots) > 1:
        first, second = (one_line(str(each), NAME) for each in sorted(roots)[:2])
        raise UsageError(
            f"The archive {archive} holds {len(roots)} runs ('{first}', '{second}'"
            f"{', …' if len(roots) > 2 else ''}), and one is verified at a time. Unpack it, and "
            "name the folder of each run."
        )
    return target / roots.pop()


def _root(place: Path) -> tuple[Path, str]:
    """Return the folder of the run of a member, and the run's folder that the member lies in."""
    if place.name in ROOT_FILES:
        return place.parent, ""
    inside = next(number for number, part in enumerate(place.parts) if part in WANTED)
    return Path(*place.parts[:inside]), place.parts[inside]


def _place(name: str) -> Path | None:
    """Return where a member is written, or None where it is passed over."""
    if "\\" in name or ":" in name or "\0" in name:
        return None
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if not parts or parts[0] == "/" or ".." in parts or len(parts) > 8:
        return None
    if parts[-1] in ROOT_FILES and len(parts) <= 3 and not {*parts} & {*WANTED}:
        return Path(*parts)
    inside = next((number for number, part in enumerate(parts) if part in WANTED), None)
    if inside is None or inside > 2 or inside == len(parts) - 1:
        return None
    return Path(*parts)


def _write(stream: IO[bytes], path: Path, left: int, archive: Path) -> int | None:
    """Write a member, and return its size; None where there is one already or it cannot be.

    Raises:
        UsageError: the archive is damaged, or its files are too large.
        RobenchError: the file cannot be written.
    """
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while block := _read(stream, archive):
                size += len(block)
                if size > left:
                    raise _too_large(archive, "its files are far larger than it is itself")
                file.write(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, UnicodeEncodeError):
        return None
    except OSError as error:
        if error.errno in _NO_NAME:
            return None
        raise RobenchError(
            f"The archive {archive} cannot be unpacked: its files are not written to "
            f"'{tempfile.gettempdir()}' ({error.strerror or error}). Free some space there, or "
            "name another folder by the environment variable TMPDIR."
        ) from error
    return size


def _read(stream: IO[bytes], archive: Path) -> bytes:
    """Read on; an error here is damage of the archive, and an error of writing is not."""
    with report_damage(archive):
        return stream.read(_BLOCK)


def _too_large(archive: Path, why: str) -> UsageError:
    return UsageError(
        f"The archive {archive} is not unpacked, because {why}. Unpack it yourself where you "
        "trust it, and name the folder."
    )
