"""What keeps an archive of a stranger within bounds while it is read.

A few kilobytes can unpack to terabytes (a zip bomb). So the sizes are checked before a member is
read, and the unpacked bytes are counted while they flow.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from robench._base.bounded_reading import GB, MB, limit_of
from robench._base.errors import UsageError
from robench._base.regular_files import how_to_raise

MEMBERS = 500_000
"""Most members of an archive; IMDB's has 100,000."""
MEMBER = 2 * GB
"""Most bytes that one member may unpack to, where its reader sets no limit of its own."""
WHOLE = 8 * GB
"""Most bytes that a whole archive may unpack to; SNLI's has 1 GB."""
PACKED = 8 * GB
"""Most bytes of the archive itself."""
_DICTIONARY = 512 * MB
"""Most memory that unpacking an .xz file may take; xz needs 65 MB for its own level 9."""
_NAMES = 64 * MB
"""Most bytes of the list of members at the end of a zip."""
_HEADER = 1 * MB
"""Most bytes of a member's name and of its further attributes in a tar."""
_PIECE = 1 << 16


class BrokenArchive(UsageError):
    """The archive is truncated, corrupt, unreadable or too large; the sentence names the file."""


def refused(archive: Path, what: str) -> BrokenArchive:
    """Return the error about an archive that goes beyond a limit; ``what`` is a clause."""
    return BrokenArchive(f"The archive {archive} is not read: {what}.")


def check_member(archive: Path, name: str, size: int, limit: int) -> None:
    """Raise BrokenArchive if a member says that it unpacks to more than ``limit`` bytes.

    Neither tarfile nor zipfile unpacks more than a member says.
    """
    most = limit_of(limit)
    if size > most:
        raise refused(
            archive,
            f"its member '{name[:100]}' unpacks to {size:,} bytes, and the limit is {most:,}; "
            f"{how_to_raise(size, most)}",
        )


def check_count(archive: Path, count: int) -> None:
    """Raise BrokenArchive if the archive has more than ``MEMBERS`` members."""
    most = limit_of(MEMBERS)
    if count > most:
        raise refused(archive, f"it has more than {most:,} members; {how_to_raise(most + 1, most)}")


class Readable(Protocol):
    """What ``tarfile`` needs of a stream."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        ...


class Counted:
    """A stream of unpacked bytes that ends in an error after ``WHOLE`` bytes."""

    def __init__(self, archive: Path, stream: Readable) -> None:
        self._archive, self._stream = archive, stream
        self._left = limit_of(WHOLE)

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end.

        Raises:
            BrokenArchive: the archive unpacks to more than the limit.
        """
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            most = limit_of(WHOLE)
            raise refused(
                self._archive,
                f"it unpacks to more than {most:,} bytes; {how_to_raise(most + 1, most)}",
            )
        return content


class Unxz:
    """The unpacked bytes of an .xz file.

    ``lzma.LZMAFile`` has no bound on its memory, and a file may ask for 4 GB.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._decompressor = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limit_of(_DICTIONARY))

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end.

        Raises:
            EOFError: the file ends too early.
            lzma.LZMAError: the file is damaged, or needs too much memory.
        """
        while True:
            piece = b""
            if self._decompressor.eof:
                piece = self._next_stream(self._decompressor.unused_data)
                if not piece:
                    return b""
                self._decompressor = self._new()
            elif self._decompressor.needs_input and not (piece := self._packed.read(_PIECE)):
                raise EOFError("it ends in the middle")
            content = self._decompressor.decompress(piece, size)
            if content:
                return content

    def _next_stream(self, piece: bytes) -> bytes:
        """Return the next bytes that are not zero: streams may have zeros between them."""
        piece = piece.lstrip(b"\0")
        while not piece and (read := self._packed.read(_PIECE)):
            piece = read.lstrip(b"\0")
        return piece


class Header(tarfile.TarInfo):
    """The header of a tar's member; ``tarfile`` reads long names and attributes into memory."""

    _LONG = frozenset(
        {
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        }
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        """Return the header in 512 bytes.

        Raises:
            BrokenArchive: the header is that of a name of megabytes, or of a sparse file.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type in cls._LONG and header.size > limit_of(_HEADER):
            raise BrokenArchive(
                f"An archive is not read: the name or the attributes of a member have "
                f"{header.size:,} bytes."
            )
        return header

    def _proc_gnusparse_10(self, *_: object) -> None:
        # Its map of holes stands in the data and may have any length.
        raise BrokenArchive("An archive is not read: it holds a sparse file.")


class ZipStream(io.BufferedReader):
    """The bytes of a zip; ``zipfile`` reads the list of its members in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most ``size`` bytes.

        Raises:
            BrokenArchive: the list of members is too long.
        """
        if size is not None and size > limit_of(_NAMES):
            raise BrokenArchive(
                f"An archive is not read: the list of its members has {size:,} bytes, and the "
                f"limit is {limit_of(_NAMES):,}; {how_to_raise(size, limit_of(_NAMES))}."
            )
        return super().read(size)


def open_zip(packed: BinaryIO) -> zipfile.ZipFile:
    """Open a zip whose list of members may be long."""
    raw = cast(io.BufferedReader, packed).raw
    return zipfile.ZipFile(cast(IO[bytes], ZipStream(raw)))
