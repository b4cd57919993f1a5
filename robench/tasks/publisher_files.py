"""Publishers' files, found in a folder or in the archives of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from robench._base.errors import UsageError
from robench.tasks.archives import (
    SUFFIXES,
    BrokenArchive,
    archives_in,
    members,
    report_damage,
)

Parsed = TypeVar("Parsed")

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
    """

    key: Callable[[str], str | None]
    parse: Callable[[str, IO[bytes]], Parsed]
    hints: Sequence[str] = ()


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
            with Path(path).open("rb") as stream:
                yield key, _parse(layout, key, stream, path)


def _from_archive(archive: Path, layout: FileLayout[Parsed]) -> Iterator[tuple[str, Parsed]]:
    for name, stream in members(archive):
        key = layout.key(name)
        if key is not None:
            with report_damage(archive):
                yield key, _parse(layout, key, stream, f"{name} in {archive}")


def _parse(layout: FileLayout[Parsed], key: str, stream: IO[bytes], where: str) -> Parsed:
    # JSON errors and UTF-8 errors are ValueErrors too.
    try:
        return layout.parse(key, stream)
    except ValueError as error:
        raise UsageError(
            f"{where} does not hold what its name says ({error}). Fetch it again. "
            "For data of your own, name their file: --task FILE."
        ) from error


def decoded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file; a byte order mark at its beginning is dropped.

    TextIOWrapper cannot be used: a member of a tar stream lacks some methods of a file.
    """
    for number, line in enumerate(stream):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8")


def walk_files(folder: Path | str, depth: int, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(name relative to folder, path)`` of the files at most ``depth`` folders deep.

    The files are sorted. Hidden and unreadable entries are left out. The values are strings, not
    Paths: a data folder may hold 150,000 files, most of them of other tasks.
    """
    try:
        with os.scandir(folder) as listing:
            visible = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError:
        return
    for entry in sorted(visible, key=lambda entry: entry.name):
        if not entry.is_dir():
            yield prefix + entry.name, entry.path
        elif depth > 1:
            yield from walk_files(entry.path, depth - 1, f"{prefix}{entry.name}/")


def describe_missing(what: str, folder: Path | None) -> str:
    """Return the beginning of a sentence: what was not found, and where it was looked for."""
    if folder is None:
        return f"No data folder is named (--data or ROBENCH_DATA), so {what} cannot be looked for"
    suffixes = ", ".join(SUFFIXES)
    return (
        f"There is no complete {what} in the folder {folder} "
        f"or in an archive ({suffixes}) directly in it"
    )
