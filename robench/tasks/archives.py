"""Archives, read in one pass from the compressed stream.

Nothing is unpacked to disk, and no name in an archive becomes a path on disk.

Nothing is kept here; ``archive_copies`` keeps what an archive of many small files holds.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from robench._base.bounded_reading import Unreadable, limit_of, open_bounded
from robench._base.regular_files import how_to_raise
from robench.tasks.archive_bounds import (
    MEMBER,
    PACKED,
    WHOLE,
    BrokenArchive,
    Counted,
    Header,
    Unxz,
    check_count,
    check_member,
    open_zip,
    refused,
)

__all__ = ["SUFFIXES", "BrokenArchive", "archives_in", "members", "report_damage"]

# A plain .tar is left out: without a checksum, tarfile takes a damaged header for the end.
SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".zip")
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError)


def archives_in(folder: Path, hints: Sequence[str] = ()) -> list[Path]:
    """List the archives that lie directly in ``folder``.

    Archives whose names contain one of ``hints`` (lower case) come first, then the others, each
    group sorted by name. The order only saves time: an .xz shows its contents only after
    decompression.
    """

    def order(path: Path) -> tuple[bool, str]:
        hinted = any(hint in path.name.lower() for hint in hints)
        return not hinted, path.name

    found = [
        path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES) and path.is_file()
    ]
    return sorted(found, key=order)


def every(_name: str) -> int:
    """Return the limit of a member whatever its name is."""
    return MEMBER


def members(
    archive: Path, limit: Callable[[str], int | None] = every
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield ``(name, stream)`` of the regular files in ``archive``.

    Each stream is valid until the next one is requested.

    Args:
        archive: the archive.
        limit: name -> how many bytes that member may unpack to, before ``ROBENCH_READ_LIMITS``;
            None for a member that is not yielded.

    Raises:
        BrokenArchive: the archive cannot be read to its end, or goes beyond a limit.
    """
    # zipfile raises RuntimeError for an encrypted zip and for an unknown compression.
    try:
        with open_bounded(archive, PACKED) as raw:
            is_zip = archive.name.lower().endswith((".zip", ".whl"))
            yield from (
                _zip_members(archive, raw, limit) if is_zip else _tar_members(archive, raw, limit)
            )
    except Unreadable as error:
        raise refused(archive, error.reason) from error
    except (*_DAMAGE, RuntimeError) as error:
        raise _broken(archive, error) from error


@contextmanager
def report_damage(archive: Path) -> Iterator[None]:
    """Turn errors while a member's stream is used into ``BrokenArchive`` errors of ``archive``.

    Some damage shows only when the stream is read.
    """
    try:
        yield
    except _DAMAGE as error:
        raise _broken(archive, error) from error


def _broken(archive: Path, error: Exception) -> BrokenArchive:
    reason = str(error) or type(error).__name__
    return BrokenArchive(
        f"The archive {archive} cannot be read ({reason}): it is damaged or incomplete. "
        "Fetch it again."
    )


def _tar_members(
    archive: Path, raw: BinaryIO, limit: Callable[[str], int | None]
) -> Iterator[tuple[str, IO[bytes]]]:
    # tarfile's own mode "r|xz" takes the end of a truncated file for the end of the archive,
    # while gzip and ``Unxz`` raise EOFError there.
    is_gzip = archive.name.lower().endswith("gz")
    plain = Counted(archive, gzip.GzipFile(fileobj=raw) if is_gzip else Unxz(raw))
    with tarfile.open(fileobj=cast(IO[bytes], plain), mode="r|", tarinfo=Header) as tar:
        seen: list[tarfile.TarInfo] = vars(tar)["members"]
        for number, member in enumerate(tar, start=1):
            check_count(archive, number)
            most = limit(member.name) if member.isreg() else None
            if most is not None:
                check_member(archive, member.name, member.size, most)
                stream = tar.extractfile(member)
                if stream is not None:
                    yield member.name, stream
            # A stream never goes back, and IMDB has 50,000 headers: do not keep them in memory.
            seen.clear()
        # Read to the end of the file, so that the checksum is verified.
        while plain.read(1 << 20):
            pass


def _zip_members(
    archive: Path, raw: BinaryIO, limit: Callable[[str], int | None]
) -> Iterator[tuple[str, IO[bytes]]]:
    with open_zip(raw) as zipped:
        check_count(archive, len(zipped.infolist()))
        left = limit_of(WHOLE)
        # In the order of their bytes, so that the file is read without jumps.
        for info in sorted(zipped.infolist(), key=lambda info: info.header_offset):
            most = None if info.is_dir() else limit(info.filename)
            if most is not None:
                check_member(archive, info.filename, info.file_size, most)
                left -= info.file_size
                if left < 0:
                    size = limit_of(WHOLE)
                    raise refused(
                        archive,
                        f"it unpacks to more than {size:,} bytes; {how_to_raise(size + 1, size)}",
                    )
                with zipped.open(info) as stream:
                    yield info.filename, stream
