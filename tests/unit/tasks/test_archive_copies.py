"""Copies of what an archive holds: made once, checked each time, made again when damaged."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from publishers import ARCHIVES, pack, shrink, write_imdb

from robench import TASKS, DataSource
from robench.tasks import archive_copies
from robench.tasks.archive_copies import cache_folder, members_kept
from robench.tasks.archives import BrokenArchive, members
from robench.tasks.frozen import digest

CONTENT = {"a/one.txt": b"one", "a/two.txt": bytes(range(256)) * 40, "a/empty.txt": b""}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep copies of archives of every size, in a folder of the test."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(archive_copies, "cache_folder", lambda: folder)
    monkeypatch.setattr(archive_copies, "LEAST", 0)
    return folder


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the archives that were read as a whole, in order."""
    read: list[str] = []

    def counted(archive: Path, limit: archive_copies.Limit) -> Iterator[object]:
        read.append(archive.name)
        yield from members(archive, limit)

    monkeypatch.setattr(archive_copies, "members", counted)
    return read


def packed(tmp_path: Path, suffix: str = ".tar.xz", **more: bytes) -> Path:
    folder = tmp_path / "content"
    for name, content in {**CONTENT, **{f"a/{each}": text for each, text in more.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return pack(folder, tmp_path / f"x{suffix}")


def texts_only(name: str) -> int | None:
    return 1_000_000 if name.endswith(".txt") else None


def read(archive: Path, limit: archive_copies.Limit = texts_only) -> dict[str, bytes]:
    return {name: stream.read() for name, stream in members_kept(archive, limit)}


def only_copy(cache: Path) -> Path:
    (path,) = cache.glob("*.parquet")
    return path


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_the_second_reading_is_from_the_copy_and_gives_the_same_bytes(
    tmp_path: Path, suffix: str, passes: list[str]
) -> None:
    archive = packed(tmp_path, suffix, other=b"not wanted")
    first = read(archive)
    assert (first, passes) == (CONTENT, [archive.name])
    assert list(read(archive).items()) == list(first.items())
    assert passes == [archive.name]


def test_an_archive_of_the_same_bytes_has_the_same_copy_whatever_its_name(
    tmp_path: Path, passes: list[str]
) -> None:
    archive = packed(tmp_path)
    read(archive)
    archive.rename(tmp_path / "renamed.tar.xz")
    assert read(tmp_path / "renamed.tar.xz") == CONTENT
    assert passes == ["x.tar.xz"]


def test_an_archive_with_other_bytes_of_the_same_name_and_date_is_read_anew(
    tmp_path: Path, passes: list[str]
) -> None:
    archive = packed(tmp_path)
    read(archive)
    times = archive.stat()
    (tmp_path / "content" / "a" / "one.txt").write_bytes(b"One")
    archive.unlink()
    pack(tmp_path / "content", archive)
    os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert read(archive)["a/one.txt"] == b"One"
    assert len(passes) == 2


def test_a_reader_that_wants_another_file_reads_the_archive(
    tmp_path: Path, passes: list[str]
) -> None:
    archive = packed(tmp_path, other=b"also")
    read(archive)
    assert read(archive, lambda _: 1_000_000) == {**CONTENT, "a/other": b"also"}
    # The copy then holds all files, and serves a reader that wants fewer.
    assert read(archive, lambda name: 9 if name == "a/one.txt" else None) == {"a/one.txt": b"one"}
    assert len(passes) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "foreign", "unsealed"])
def test_a_damaged_copy_is_made_again_and_one_sentence_says_so(
    tmp_path: Path,
    cache: Path,
    passes: list[str],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    archive = packed(tmp_path)
    read(archive)
    path = only_copy(cache)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:middle],
            "emptied": b"",
            "foreign": b"PAR1 something else",
            "unsealed": whole.replace(b"robench.sha256=", b"robench.sha255="),
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        assert read(archive) == CONTENT
    (record,) = caplog.records
    assert "cannot be used" in record.message
    assert record.message.endswith("is made again.")
    assert len(passes) == 2
    assert only_copy(cache).read_bytes() == whole


def test_a_sealed_file_of_another_form_is_not_used(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive = packed(tmp_path)
    monkeypatch.setattr(archive_copies, "_VERSION", b"0")
    read(archive)
    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(archive_copies, "cache_folder", lambda: cache)
        patched.setattr(archive_copies, "LEAST", 0)
        assert read(archive) == CONTENT
    assert "it has another form" in caplog.text


def test_a_link_or_a_folder_in_the_place_of_a_copy_does_no_harm(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = packed(tmp_path)
    read(archive)
    path = only_copy(cache)
    path.unlink()
    path.mkdir()
    assert read(archive) == CONTENT
    assert "No copy of x.tar.xz is kept" in caplog.text


def test_limits_hold_for_a_copy_too(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    read(archive)
    with pytest.raises(BrokenArchive, match=r"'a/two\.txt' unpacks to 10,240 bytes"):
        read(archive, lambda _: 100)


def test_a_damaged_archive_has_no_copy(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(BrokenArchive, match=r"damaged or incomplete"):
        read(archive)
    assert not cache.exists()


def test_a_reading_that_was_not_finished_leaves_no_copy(tmp_path: Path, cache: Path) -> None:
    next(members_kept(packed(tmp_path), texts_only))
    assert not cache.exists()


def test_an_archive_that_changes_while_it_is_read_has_no_copy(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path)
    for _ in members_kept(archive, texts_only):
        with archive.open("ab") as stream:
            stream.write(b"\0\0\0\0")
    assert not cache.exists()


def test_small_and_large_archives_have_no_copy(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(tmp_path)
    monkeypatch.setattr(archive_copies, "MOST", 100)
    assert read(archive) == CONTENT
    monkeypatch.setattr(archive_copies, "MOST", 1_000_000)
    monkeypatch.setattr(archive_copies, "LEAST", archive.stat().st_size + 1)
    assert read(archive) == CONTENT
    assert not cache.exists()


def test_a_missing_archive_is_refused_as_before(tmp_path: Path) -> None:
    with pytest.raises(BrokenArchive):
        read(tmp_path / "absent.tar.xz")


def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_bytes(b"a file where the folder should be")
    assert read(packed(tmp_path)) == CONTENT
    (record,) = caplog.records
    assert "is read as a whole each time" in record.message


def test_the_copies_used_longest_ago_are_removed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    for number, name in enumerate(("older", "old")):
        (cache / f"{name}.parquet").write_bytes(b"x" * 1000)
        os.utime(cache / f"{name}.parquet", (1000 + number, 1000 + number))
    archive = packed(tmp_path)
    read(archive)
    size = next(path.stat().st_size for path in cache.iterdir() if len(path.stem) == 64)
    (cache / "used.parquet").write_bytes(b"x" * 1000)
    monkeypatch.setattr(archive_copies, "ALL", size + 2500)
    next(path for path in cache.iterdir() if len(path.stem) == 64).unlink()
    read(archive)
    assert {path.stem for path in cache.iterdir() if len(path.stem) != 64} == {"used", "old"}


def test_reading_a_copy_counts_as_use(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path)
    read(archive)
    os.utime(only_copy(cache), (1000, 1000))
    read(archive)
    assert time.time() - only_copy(cache).stat().st_mtime < 3600


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    for name, age in ((".a.1.tmp", 2 * 86_400), (".b.2.tmp", 60)):
        (cache / name).write_bytes(b"unfinished")
        then = time.time() - age
        os.utime(cache / name, (then, then))
    read(packed(tmp_path))
    assert {path.name for path in cache.glob(".*")} == {".b.2.tmp"}


def test_imdb_reads_its_archive_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passes: list[str]
) -> None:
    shrink(monkeypatch)
    data = tmp_path / "data"
    data.mkdir()
    pack(write_imdb(tmp_path / "plain"), data / "imdb.tar.xz")
    task = TASKS.get("imdb")()
    first, second = (task.load(DataSource(data, hub=False)) for _ in range(2))
    assert passes == ["imdb.tar.xz"]
    assert first == second
    assert digest(first.train) == digest(second.train)
    assert second.origin == "archive imdb.tar.xz"


def test_the_copies_lie_in_the_users_cache() -> None:
    assert cache_folder().parts[-2:] == ("robench", "archives")
