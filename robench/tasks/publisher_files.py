"""Publishers' files, found in a folder or in the archives of a folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from robench._base.bounded_reading import MB, Unreadable, limit_of, open_bounded
from robench._base.errors import UsageError
from robench._base.regular_files import how_to_raise
from robench.tasks.archive_bounds import MEMBER
from robench.tasks.archive_copies import members_kept
from robench.tasks.archives import (
    SUFFIXES,
    BrokenArchive,
    archives_in,
    members,
    report_damage,
)

Parsed = TypeVar("Parsed")

LINE = 1 * MB
"""Most bytes of one line of a publisher's file."""
_DEPTH = 5
"""How deep a folder is searched.

``--data`` may be the publisher's folder, its parent or its parent's parent, as in
<data>/<x>/aclImdb/train/pos/0_9.txt.
"""


@dataclass(frozen=True, slots=True)
class FileLayout(Generic[Parsed]):
    """How a publisher's files are recognised and read.

    Attributes:
        key: turns a path with ``/`` into the file's name within the layout, or into None for a
            file that is not part of it.
        parse: turns the key and the file's bytes into the file's content; raises ValueError for
            content of another form.
        hints: parts of the names (lower case) that its archives usually have. They only save time.
        limit: most bytes of one of its files, before ``ROBENCH_READ_LIMITS``.
        many: whether the files are many and small, so that finding them in an archive takes
            seconds. What was found is then kept in the user's cache (``archive_copies``).
    """

    key: Callable[[str], str | None]
    parse: Callable[[str, IO[bytes]], Parsed]
    hints: Sequence[str] = ()
    limit: int = MEMBER
    many: bool = False


@dataclass(frozen=True, slots=True)
class FoundFiles(Generic[Parsed]):
    """The files that were read.

    Attributes:
        files: key -> content.
        origin: the places in words, such as ``"archive imdb.tar.xz"``, without a path of this
            machine.
    """

    files: dict[str, Parsed]
    origin: str


def find_files(
    folder: Path | None, layout: FileLayout[Parsed], complete: Callable[[dict[str, Parsed]], bool]
) -> FoundFiles[Parsed]:
    """Read the layout's files from ``folder``, then from the archives directly in it.

    Reading stops as soon as the files are ``complete``. The first place that holds a file wins.
    The files are returned even when they are not complete.

    Raises:
        UsageError: the folder does not exist; a file has another content than expected; or files
            are missing and an archive is damaged.
    """
    files: dict[str, Parsed] = {}
    origins: list[str] = []
    damage: BrokenArchive | None = None
    if folder is not None:
        check_data_folder(folder)
    for place, opened in _places(folder, layout):
        try:
            new = {key: content for key, content in opened if key not in files}
        except BrokenArchive as error:
            damage = damage or error
            continue
        if new:
            files |= new
            origins.append(place)
        if complete(files):
            return FoundFiles(files, ", ".join(origins))
    # The damaged archive may hold the missing files, and the hub must not replace it silently.
    if damage is not None:
        raise damage
    return FoundFiles(files, ", ".join(origins))


def check_data_folder(folder: Path) -> None:
    """Raise UsageError unless ``folder`` is a folder that exists."""
    if not folder.is_dir():
        raise UsageError(
            f"There is no data folder {folder}. "
            "Name the folder that holds the data, or the archives, with --data."
        )


def _places(
    folder: Path | None, layout: FileLayout[Parsed]
) -> Iterator[tuple[str, Iterator[tuple[str, Parsed]]]]:
    """Yield each place to read, in words, with the keys and contents found there."""
    if folder is None:
        return
    yield f"folder {folder.resolve().name}", _from_folder(folder.resolve(), layout)
    for archive in archives_in(folder, layout.hints):
        yield f"archive {archive.name}", _from_archive(archive, layout)


def _from_folder(folder: Path, layout: FileLayout[Parsed]) -> Iterator[tuple[str, Parsed]]:
    for name, path in walk_files(folder, _DEPTH):
        key = layout.key(f"{folder.name}/{name}")
        if key is not None:
            try:
                stream = open_bounded(Path(path), layout.limit)
            except Unreadable as error:
                raise UsageError(f"The file {path} cannot be read: {error.reason}.") from error
            with stream:
                yield key, _parse(layout, key, stream, path)


def _from_archive(archive: Path, layout: FileLayout[Parsed]) -> Iterator[tuple[str, Parsed]]:
    def limit(name: str) -> int | None:
        return None if layout.key(name) is None else layout.limit

    for name, stream in (members_kept if layout.many else members)(archive, limit):
        key = layout.key(name)
        if key is not None:
            with report_damage(archive):
                yield key, _parse(layout, key, stream, f"{name} in {archive}")


def _parse(layout: FileLayout[Parsed], key: str, stream: IO[bytes], where: str) -> Parsed:
    # JSON errors and UTF-8 errors are ValueErrors too. csv.Error is none.
    try:
        return layout.parse(key, stream)
    except (ValueError, csv.Error, Unreadable) as error:
        reason = error.reason if isinstance(error, Unreadable) else error
        raise UsageError(
            f"{where} does not hold what its name says ({reason}). Fetch it again. "
            "For data of your own, name their file: --task FILE."
        ) from error


def decoded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file; a byte order mark at its beginning is dropped.

    TextIOWrapper cannot be used: a member of a tar stream lacks some methods of a file.

    Raises:
        ValueError: a line is not UTF-8, or has more than 1 MB.
    """
    longest = limit_of(LINE)
    number = 0
    while line := stream.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise ValueError(
                f"line {number} has more than {longest:,} bytes; "
                f"{how_to_raise(longest + 1, longest)}"
            )
        yield line.decode("utf-8-sig" if number == 1 else "utf-8")


def walk_files(
    folder: Path | str, depth: int, prefix: str = "", above: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield ``(name relative to folder, path)`` of the files at most ``depth`` folders deep.

    The files are sorted. Hidden and unreadable entries are left out. The values are strings, not
    Paths: a data folder may hold 150,000 files, most of them of other tasks. A link that leads
    back to a folder above it is left out: each pass would find all files again.

    Args:
        folder: where to look.
        depth: how many folders deep to look.
        prefix: what stands before the names.
        above: the real paths of the folders above.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        with os.scandir(folder) as listing:
            visible = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError:
        return
    for entry in sorted(visible, key=lambda entry: entry.name):
        if not _is_folder(entry):
            yield prefix + entry.name, entry.path
        elif depth > 1:
            inner = f"{prefix}{entry.name}/"
            yield from walk_files(entry.path, depth - 1, inner, (*above, real))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def describe_missing(what: str, folder: Path | None) -> str:
    """Return the beginning of a sentence: what was not found, and where it was looked for."""
    if folder is None:
        return f"No data folder is named (--data or ROBENCH_DATA), so {what} cannot be looked for"
    suffixes = ", ".join(SUFFIXES)
    return (
        f"There is no complete {what} in the folder {folder} "
        f"or in an archive ({suffixes}) directly in it"
    )
