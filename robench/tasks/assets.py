"""External files, found by name and checked by SHA-256.

They are looked for in the data folder first, then in robench's cache, then on the web.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from robench._base.bounded_reading import MB, Bounds, Unreadable, read_bytes
from robench._base.errors import UsageError
from robench._base.files import atomic_file
from robench.tasks.archives import BrokenArchive, archives_in, members, report_damage
from robench.tasks.publisher_files import check_data_folder, walk_files


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that robench uses and does not ship.

    Attributes:
        file: its published name.
        sha256: SHA-256 of its bytes, in hex.
        url: where it can be fetched; pinned to a commit.
        hints: parts of the names that archives with this file usually have.
        licence: licence of its publisher.
    """

    file: str
    sha256: str
    url: str
    hints: tuple[str, ...]
    licence: str


_COUNTERFITTED = Asset(
    # The release of Jia et al. 2019; byte for byte the file that ASCC and RIFT ship.
    file="counterfitted_neighbors.json",
    sha256="103247143f39bd5dd66850f3a912393392641dbd98093c61e2b24a4cc8a96fb0",
    url=(
        "https://raw.githubusercontent.com/robinjia/certified-word-sub/"
        "4fa78a459a3fdcecf544b7d10ffd2b9494d74a2b/data/counterfitted_neighbors.json"
    ),
    hints=("counterfit",),
    licence="MIT",
)

ASSETS = {asset.file: asset for asset in (_COUNTERFITTED,)}
"""Published name -> asset."""

_BOUNDS = Bounds(size=256 * MB)


def find_asset(name: str, folder: Path | None) -> Path:
    """Return the path of asset ``name`` (a key of ``ASSETS``), with its SHA-256 checked.

    The file is looked for in this order:

    1. as a plain file in ``folder``, at most two folders deep;
    2. in robench's cache;
    3. in the archives directly in ``folder`` (then it is copied into the cache);
    4. at its URL (then it is kept in the cache).

    Raises:
        UsageError: the file is found nowhere, and the sentence lists what was tried; or a file of
            that name is not the published one.
    """
    found = locate_asset(name, folder)
    if found is not None:
        return found
    asset = ASSETS[name]
    return _fetched(asset, _cached(asset), folder)


def locate_asset(name: str, folder: Path | None) -> Path | None:
    """Find an asset as ``find_asset`` does, but return None instead of fetching it."""
    if name not in ASSETS:
        raise UsageError(f"There is no asset '{name}'. Known: {', '.join(sorted(ASSETS))}.")
    asset = ASSETS[name]
    if folder is not None:
        check_data_folder(folder)
        plain = _plain(asset, folder)
        if plain is not None:
            return plain
    cached = _cached(asset)
    if cached.is_file() and _sha256(read_bytes(cached, _BOUNDS)) == asset.sha256:
        return cached
    if folder is not None:
        content = _archived(asset, folder)
        if content is not None:
            _write(cached, content)
            return cached
    return None


def _cached(asset: Asset) -> Path:
    return cache_folder() / asset.sha256[:16] / asset.file


def cache_folder() -> Path:
    """Return the folder where robench keeps copies of assets: in the user's cache folder."""
    return user_cache_path("robench") / "assets"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checked(asset: Asset, content: bytes, where: str) -> bytes:
    """Return ``content`` if it is the published file, else raise UsageError."""
    found = _sha256(content)
    if found != asset.sha256:
        raise UsageError(
            f"{where} is not the published {asset.file}: "
            f"SHA-256 {found[:16]}… instead of {asset.sha256[:16]}…. Remove it or fetch it again."
        )
    return content


def _plain(asset: Asset, folder: Path) -> Path | None:
    for name, path in walk_files(folder, depth=3):
        if name.rpartition("/")[2] == asset.file:
            try:
                content = read_bytes(Path(path), _BOUNDS)
            except Unreadable as error:
                raise UsageError(f"The file {path} cannot be read: {error.reason}.") from error
            _checked(asset, content, path)
            return Path(path)
    return None


def _archived(asset: Asset, folder: Path) -> bytes | None:
    """Read the asset from the first archive that holds it.

    Raises:
        BrokenArchive: no intact archive holds it, and another archive is damaged.
    """

    def limit(name: str) -> int | None:
        return _BOUNDS.size if name.rpartition("/")[2] == asset.file else None

    damage: BrokenArchive | None = None
    for archive in archives_in(folder, asset.hints):
        try:
            for name, stream in members(archive, limit):
                with report_damage(archive):
                    return _checked(asset, stream.read(), f"{name} in {archive}")
        except BrokenArchive as error:
            damage = damage or error
    if damage is not None:
        raise damage
    return None


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: another process may be reading it."""
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"robench's cache {path.parent} cannot be written ({error.strerror}). "
            f"Unpack {path.name} into the data folder instead."
        ) from error


def _fetched(asset: Asset, cached: Path, folder: Path | None) -> Path:
    """Download the asset into the cache."""
    # requests' errors are OSErrors, and pooch raises ValueError for a wrong hash.
    try:
        import pooch  # type: ignore[import-untyped]

        cached.parent.mkdir(parents=True, exist_ok=True)
        return Path(
            pooch.retrieve(
                asset.url,
                known_hash=f"sha256:{asset.sha256}",
                fname=cached.name,
                path=cached.parent,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )
    except (OSError, ValueError) as error:
        if folder is None:
            looked = "no folder (none is named with --data or ROBENCH_DATA)"
        else:
            looked = f"the folder {folder} and its archives"
        tried = f"{looked}; the cache {cached.parent}; {asset.url} ({type(error).__name__})"
        raise UsageError(
            f"{asset.file} was not found. Tried: {tried}. "
            "Put the file into a folder and name that folder with --data, or name another "
            "substitution set for data of your own with --substitutions."
        ) from error
