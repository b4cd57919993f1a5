"""Assets: where a file is looked for, in which order, and how its hash is checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pooch  # type: ignore[import-untyped]
import pytest
from publishers import ARCHIVES, pack

from robench._base.errors import UsageError
from robench.tasks import assets
from robench.tasks.archives import BrokenArchive
from robench.tasks.assets import ASSETS, Asset, find_asset

CONTENT = b'{"good": ["fine"]}'
NAME = "neighbours.json"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide one made-up asset, an empty cache and no network."""
    asset = Asset(
        NAME,
        hashlib.sha256(CONTENT).hexdigest(),
        "https://example.invalid/neighbours.json",
        ("words",),
        "MIT",
    )
    monkeypatch.setattr(assets, "ASSETS", {NAME: asset})
    monkeypatch.setattr(assets, "cache_folder", lambda: tmp_path / "cache")

    def offline(*_: Any, **__: Any) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", offline)
    return tmp_path / "cache"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "content" / "cf").mkdir(parents=True)
    (tmp_path / "content" / "cf" / NAME).write_bytes(CONTENT)
    return tmp_path / "content"


@pytest.mark.parametrize("inner", ["", "one", "one/two"])
def test_a_plain_file_is_used_in_its_place(tmp_path: Path, cache: Path, inner: str) -> None:
    (tmp_path / "d" / inner).mkdir(parents=True)
    (tmp_path / "d" / inner / NAME).write_bytes(CONTENT)
    assert find_asset(NAME, tmp_path / "d") == tmp_path / "d" / inner / NAME
    assert not cache.exists()


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archived_file_is_copied_into_the_cache(
    content: Path, tmp_path: Path, cache: Path, suffix: str
) -> None:
    archive = pack(content, tmp_path / "d" / f"words{suffix}")
    path = find_asset(NAME, tmp_path / "d")
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache)
    # No partly written file is left beside it.
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]
    archive.unlink()
    assert find_asset(NAME, tmp_path / "d") == path
    assert find_asset(NAME, None) == path


def test_a_damaged_copy_in_the_cache_is_replaced(content: Path, tmp_path: Path) -> None:
    pack(content, tmp_path / "d" / "words.zip")
    path = find_asset(NAME, tmp_path / "d")
    path.write_bytes(CONTENT[:-1])
    assert find_asset(NAME, tmp_path / "d").read_bytes() == CONTENT


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(
        UsageError,
        match=rf"{NAME} is not the published {NAME}: SHA-256 \w{{16}}… instead of \w{{16}}…",
    ):
        find_asset(NAME, tmp_path / "d")


def test_another_file_of_that_name_in_an_archive_is_refused(content: Path, tmp_path: Path) -> None:
    (content / "cf" / NAME).write_bytes(b"{}")
    pack(content, tmp_path / "d" / "words.zip")
    with pytest.raises(UsageError, match=rf"cf/{NAME} in .*words\.zip is not the published"):
        find_asset(NAME, tmp_path / "d")


def test_a_damaged_archive_is_named_unless_another_has_it(content: Path, tmp_path: Path) -> None:
    broken = pack(content, tmp_path / "d" / "words_a.tar.xz")
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(BrokenArchive, match=r"words_a\.tar\.xz cannot be read"):
        find_asset(NAME, tmp_path / "d")
    pack(content, tmp_path / "d" / "words_b.zip")
    assert find_asset(NAME, tmp_path / "d").read_bytes() == CONTENT


def test_a_file_found_nowhere_lists_what_was_tried(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError) as caught:
        find_asset(NAME, tmp_path / "d")
    for part in (
        NAME,
        str(tmp_path / "d"),
        str(cache),
        "https://example.invalid/neighbours.json",
        "ConnectionError",
        "--data",
    ):
        assert part in str(caught.value)
    with pytest.raises(UsageError, match="no folder"):
        find_asset(NAME, None)


def test_a_download_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> str:
        raise ValueError("SHA256 hash of downloaded file does not match")

    monkeypatch.setattr(pooch, "retrieve", wrong)
    with pytest.raises(UsageError, match="ValueError"):
        find_asset(NAME, None)


def test_the_download_passes_the_hash_and_happens_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def fetch(url: str, **options: Any) -> str:
        asked.append({"url": url, **options})
        path = Path(options["path"]) / options["fname"]
        path.write_bytes(CONTENT)
        return str(path)

    monkeypatch.setattr(pooch, "retrieve", fetch)
    path = find_asset(NAME, None)
    assert asked[0]["url"] == "https://example.invalid/neighbours.json"
    assert asked[0]["known_hash"] == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    # The second call takes the file from the cache.
    assert find_asset(NAME, None) == path
    assert len(asked) == 1


def test_a_cache_that_cannot_be_written_is_one_sentence(
    content: Path, tmp_path: Path, cache: Path
) -> None:
    pack(content, tmp_path / "d" / "words.zip")
    cache.write_text("a file where the folder should be")
    with pytest.raises(
        UsageError, match=rf"cache .* cannot be written \(.*\)\. Unpack {NAME} into the data folder"
    ):
        find_asset(NAME, tmp_path / "d")


def test_unknown_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no asset 'x'\. Known: neighbours\.json\."):
        find_asset("x", None)
    with pytest.raises(UsageError, match="There is no data folder"):
        find_asset(NAME, tmp_path / "none")


def test_every_asset_is_pinned() -> None:
    for name, asset in ASSETS.items():
        assert asset.file == name
        assert len(bytes.fromhex(asset.sha256)) == 32
        assert asset.url.startswith("https://")
        assert asset.url.endswith(name)
