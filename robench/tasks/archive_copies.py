"""Copies of what an archive of many small files holds, kept in the user's cache.

The 50,000 reviews of IMDB lie in an archive of 150,000 parts, and most of the time goes into
finding them. A copy holds the same bytes in one table, and is read in a fraction of that time.

A copy belongs to the bytes of its archive: its name is their SHA-256, which is computed each time.
Nothing is taken from names or dates. A copy holds its own SHA-256 too (``robench._base.seals``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from platformdirs import user_cache_path

from robench._base.bounded_reading import GB, MB, Missing, Unreadable, open_bounded
from robench._base.errors import first_line
from robench._base.files import atomic_file
from robench._base.seals import BLANK, MARK, check_sealed, file_sha256, seal_file
from robench.tasks.archive_bounds import check_count, check_member
from robench.tasks.archives import members, report_damage

__all__ = ["cache_folder", "members_kept"]

LEAST: Final = 4 * MB
"""Bytes of the smallest archive of which a copy is kept; smaller ones are read at once."""
MOST: Final = 512 * MB
"""Most bytes of the files in one copy, which are held in memory while it is made."""
ALL: Final = 1 * GB
"""Most bytes of all copies together; the ones used longest ago are removed."""
_SEAL: Final = b"robench.seal"
_FORM: Final = b"robench.archive"
"""Key of the version of the form in the file's metadata."""
_VERSION: Final = b"1"
_A_DAY: Final = 86_400

Limit = Callable[[str], int | None]
"""Name of a member -> how many bytes it may unpack to; None for a member that is not wanted."""

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of the copies."""
    return user_cache_path("robench") / "archives"


def members_kept(archive: Path, limit: Limit) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield what ``archives.members`` yields, from a copy where there is one.

    After a pass over the whole archive, a copy is kept for the next time. A damaged copy is
    removed, and a sentence in the log says so.

    Args:
        archive: the archive.
        limit: see ``archives.members``.

    Raises:
        BrokenArchive: see ``archives.members``.
    """
    digest = _digest(archive)
    if digest is None:
        yield from members(archive, limit)
        return
    path = cache_folder() / f"{digest}.parquet"
    copy = _read(path, archive)
    if copy is not None and all(limit(name) is None for name in copy.others):
        yield from _from_copy(copy, archive, limit)
        return
    yield from _read_and_keep(archive, limit, path, digest)


class _Copy:
    """What is known of an archive.

    Attributes:
        files: name and bytes of each file that was wanted, in the order of the archive.
        others: names of the other files, whose bytes are not there.
    """

    def __init__(self, files: list[tuple[str, bytes]], others: Iterable[str]) -> None:
        self.files, self.others = files, tuple(others)


def _digest(archive: Path) -> str | None:
    """Return the SHA-256 of an archive; None for one that is small or cannot be read."""
    try:
        if archive.stat().st_size < LEAST:
            return None
        return file_sha256(archive)
    except (OSError, Unreadable):
        # Reading its members says what is wrong.
        return None


def _from_copy(copy: _Copy, archive: Path, limit: Limit) -> Iterator[tuple[str, IO[bytes]]]:
    check_count(archive, len(copy.files) + len(copy.others))
    for name, content in copy.files:
        most = limit(name)
        if most is not None:
            check_member(archive, name, len(content), most)
            yield name, io.BytesIO(content)


def _read_and_keep(
    archive: Path, limit: Limit, path: Path, digest: str
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the members of an archive, and write its copy after the last one."""
    others: list[str] = []

    def noted(name: str) -> int | None:
        most = limit(name)
        if most is None:
            others.append(name)
        return most

    files: list[tuple[str, bytes]] = []
    left = MOST
    for name, stream in members(archive, noted):
        if left < 0:
            yield name, stream
            continue
        with report_damage(archive):
            content = stream.read()
        left -= len(content)
        files.append((name, content))
        if left < 0:
            files.clear()
        yield name, io.BytesIO(content)
    # The archive may have been exchanged while it was read.
    if left >= 0 and _digest(archive) == digest:
        _keep(_Copy(files, others), path, archive)


def _keep(copy: _Copy, path: Path, archive: Path) -> None:
    """Write a copy; a sentence in the log says why it cannot be written."""
    try:
        with atomic_file(path) as temporary:
            _write(copy, temporary)
        _remove_old(path.parent)
    except OSError as error:
        logger.warning(
            "No copy of %s is kept in %s (%s), so the archive is read as a whole each time.",
            archive.name,
            path.parent,
            error.strerror or error,
        )


def _write(copy: _Copy, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [name for name, _ in copy.files]
    contents: list[bytes | None] = [content for _, content in copy.files]
    table = pa.table(
        {
            "name": pa.array([*names, *copy.others], pa.string()),
            "content": pa.array([*contents, *([None] * len(copy.others))], pa.binary()),
        }
    ).replace_schema_metadata({_FORM: _VERSION, _SEAL: MARK + BLANK})
    # A dictionary of texts that are all different would only cost time.
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    seal_file(path)


def _read(path: Path, archive: Path) -> _Copy | None:
    """Return the copy at ``path``; None where there is none or it is damaged."""
    try:
        with open_bounded(path, 2 * ALL) as stream:
            # Before the file is parsed: a damaged one may crash its reader.
            check_sealed(stream)
            copy = _parsed(stream.read())
        os.utime(path)
    except Missing:
        return None
    except (OSError, ValueError, KeyError, Unreadable) as error:
        logger.warning(
            "The copy of %s in %s cannot be used (%s) and is made again.",
            archive.name,
            path,
            first_line(error),
        )
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return copy


def _parsed(content: bytes) -> _Copy:
    """Return the copy in the bytes of its file.

    Raises:
        ValueError, KeyError: the file has another form.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    if (table.schema.metadata or {}).get(_FORM) != _VERSION:
        raise ValueError("it has another form")
    rows = zip(table.column("name").to_pylist(), table.column("content").to_pylist(), strict=True)
    files, others = list[tuple[str, bytes]](), list[str]()
    for name, content_of in rows:
        if content_of is None:
            others.append(name)
        else:
            files.append((name, content_of))
    return _Copy(files, others)


def _remove_old(folder: Path) -> None:
    """Remove the copies used longest ago until ``ALL`` is kept, and what killed runs left.

    Raises:
        OSError: the folder cannot be read.
    """
    left, now = ALL, time.time()
    found = [(each, each.stat()) for each in folder.iterdir()]
    for path, status in sorted(found, key=lambda item: item[1].st_mtime, reverse=True):
        unfinished = path.suffix == ".tmp"
        left -= 0 if unfinished else status.st_size
        if left < 0 or (unfinished and now - status.st_mtime > _A_DAY):
            with contextlib.suppress(OSError):
                path.unlink()
