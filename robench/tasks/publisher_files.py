"""Publishers' files, found in a folder or in the archives of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from robench._base.errors import UsageError
from robench.tasks.archives import SUFFIXES, BrokenArchive, archives_in, members, report_damage

Parsed = TypeVar("Parsed")

_DEPTH = 5
"""``--data`` may be the publisher's folder, its parent or its parent's parent: <data>/<x>/aclImdb/train/pos/0_9.txt."""


@dataclass(frozen=True, slots=True)
class FileLayout(Generic[Parsed]):
    """How a publisher's files are recognised and read.

    Attributes:
        key: a path with ``/`` -> the file's name within the layout, or None for a file that is no part of it.
        parse: the key and the file's bytes -> what it holds; raises ValueError for content that is not as it should be.
        hints: parts of the names that its archives usually have (lower case); they save time and decide nothing.
    """

    key: Callable[[str], str | None]
    parse: Callable[[str, IO[bytes]], Parsed]
    hints: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FoundFiles(Generic[Parsed]):
    """What was read: key -> content, and the places in words (``"archive imdb.tar.xz"``), without the machine's paths."""

    files: dict[str, Parsed]
    origin: str


def find_files(
    folder: Path | None, layout: FileLayout[Parsed], complete: Callable[[dict[str, Parsed]], bool]
) -> FoundFiles[Parsed]:
    """Read the layout's files from ``folder`` itself, then from the archives directly in it, until ``complete``.

    The first place that holds a file wins. What was found is handed back even when it is not complete.

    Raises:
        UsageError: there is no such folder; a file does not hold what it should; files are missing and an archive is damaged.
    """
    files: dict[str, Parsed] = {}
    origins: list[str] = []
    damage: BrokenArchive | None = None
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"There is no data folder {folder}. Name the folder that holds the data, or the archives, with --data."
        )
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
    if (
        damage is not None
    ):  # it may hold what is missing, and the hub must not stand in for it unnoticed
        raise damage
    return FoundFiles(files, ", ".join(origins))


def _places(
    folder: Path | None, layout: FileLayout[Parsed]
) -> Iterator[tuple[str, Iterator[tuple[str, Parsed]]]]:
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
    try:
        return layout.parse(key, stream)
    except ValueError as error:  # also JSON and UTF-8
        raise UsageError(
            f"{where} is not what its name promises ({error}). Fetch it again."
        ) from error


def walk_files(folder: Path | str, depth: int, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(name relative to folder, path)`` of the files at most ``depth`` folders deep, sorted; hidden and unreadable ones are left out.

    Strings, not Paths: a data folder may hold 150,000 files, most of them of other tasks.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(
                (entry for entry in listing if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError:
        return
    for entry in entries:
        if not entry.is_dir():
            yield prefix + entry.name, entry.path
        elif depth > 1:
            yield from walk_files(entry.path, depth - 1, f"{prefix}{entry.name}/")


def describe_missing(what: str, folder: Path | None) -> str:
    """The beginning of a sentence: ``what`` was not found, and where it was looked for."""
    if folder is None:
        return f"No data folder is named (--data or ROBENCH_DATA) in which to look for {what}"
    return f"There is no complete {what} in the folder {folder} or in an archive ({', '.join(SUFFIXES)}) directly in it"
