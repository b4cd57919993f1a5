"""External files by name, URL and SHA-256: the data folder first, then robench's cache, then the web."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from robench._base.errors import UsageError
from robench.tasks.archives import BrokenArchive, archives_in, members, report_damage
from robench.tasks.publisher_files import walk_files


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that robench uses and does not ship.

    Attributes:
        file: its published name.
        sha256: of its bytes, hex.
        url: where it can be fetched; pinned to a commit.
        hints: parts of the names that archives holding it usually have.
        licence: of its publisher.
    """

    file: str
    sha256: str
    url: str
    hints: tuple[str, ...]
    licence: str


ASSETS = {
    asset.file: asset
    for asset in (
        # Jia et al. 2019's release; byte for byte the file that ASCC and RIFT ship.
        Asset(
            file="counterfitted_neighbors.json",
            sha256="103247143f39bd5dd66850f3a912393392641dbd98093c61e2b24a4cc8a96fb0",
            url="https://raw.githubusercontent.com/robinjia/certified-word-sub/4fa78a459a3fdcecf544b7d10ffd2b9494d74a2b/data/counterfitted_neighbors.json",
            hints=("counterfit",),
            licence="MIT",
        ),
    )
}


def find_asset(name: str, folder: Path | None) -> Path:
    """The path of asset ``name`` (a key of ``ASSETS``), its SHA-256 checked.

    Looked for in this order: plain in ``folder`` (at most two folders deep), in robench's cache, in the archives directly in ``folder`` (then copied
    into the cache), at its URL (then kept in the cache).

    Raises:
        UsageError: it is nowhere to be had, and the sentence lists what was tried; or a file of that name is not the published one.
    """
    found = locate_asset(name, folder)
    return found if found is not None else _fetched(ASSETS[name], _cached(ASSETS[name]), folder)


def locate_asset(name: str, folder: Path | None) -> Path | None:
    """As ``find_asset`` without its last step: nothing is fetched, and None means that it would have to be."""
    if name not in ASSETS:
        raise UsageError(f"There is no asset '{name}'. Known: {', '.join(sorted(ASSETS))}.")
    asset = ASSETS[name]
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"There is no data folder {folder}. Name the folder that holds the data, or the archives, with --data."
        )
    if folder is not None and (plain := _plain(asset, folder)) is not None:
        return plain
    cached = _cached(asset)
    if cached.is_file() and _sha256(cached.read_bytes()) == asset.sha256:
        return cached
    if folder is not None and (content := _archived(asset, folder)) is not None:
        _write(cached, content)
        return cached
    return None


def _cached(asset: Asset) -> Path:
    return cache_folder() / asset.sha256[:16] / asset.file


def cache_folder() -> Path:
    """Where robench keeps copies of assets: the user's cache folder of the platform."""
    return user_cache_path("robench") / "assets"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checked(asset: Asset, content: bytes, where: str) -> bytes:
    found = _sha256(content)
    if found != asset.sha256:
        raise UsageError(
            f"{where} is not the published {asset.file}: SHA-256 {found[:16]}… instead of {asset.sha256[:16]}…. Remove it or fetch it again."
        )
    return content


def _plain(asset: Asset, folder: Path) -> Path | None:
    for name, path in walk_files(folder, depth=3):
        if name.rpartition("/")[2] == asset.file:
            _checked(asset, Path(path).read_bytes(), path)
            return Path(path)
    return None


def _archived(asset: Asset, folder: Path) -> bytes | None:
    damage: BrokenArchive | None = None
    for archive in archives_in(folder, asset.hints):
        try:
            for name, stream in members(archive):
                if name.rpartition("/")[2] == asset.file:
                    with report_damage(archive):
                        return _checked(asset, stream.read(), f"{name} in {archive}")
        except BrokenArchive as error:
            damage = damage or error
    if damage is not None:
        raise damage
    return None


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all: another process may be reading."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"robench's cache {path.parent} cannot be written ({error.strerror}). Unpack {path.name} into the data folder instead."
        ) from error


def _fetched(asset: Asset, cached: Path, folder: Path | None) -> Path:
    looked = (
        f"the folder {folder} and its archives"
        if folder is not None
        else "no folder (none is named with --data or ROBENCH_DATA)"
    )
    try:
        import pooch  # type: ignore[import-untyped]

        cached.parent.mkdir(parents=True, exist_ok=True)
        downloader = pooch.HTTPDownloader(timeout=30)
        return Path(
            pooch.retrieve(
                asset.url,
                known_hash=f"sha256:{asset.sha256}",
                fname=cached.name,
                path=cached.parent,
                downloader=downloader,
            )
        )
    except (
        OSError,
        ValueError,
    ) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
        tried = f"{looked}; the cache {cached.parent}; {asset.url} ({type(error).__name__})"
        raise UsageError(
            f"{asset.file} was not found. Tried: {tried}. Put the file into a folder and name that with --data."
        ) from error
