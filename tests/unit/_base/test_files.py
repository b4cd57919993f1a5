"""Files that are forced to the disk, and disk errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robench._base import files as disk


def test_a_tree_is_synced_file_by_file_and_folder_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "a").write_text("a")
    (tmp_path / "deep" / "deeper" / "b").write_text("b")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    disk.sync_tree(tmp_path)
    assert sorted(synced) == sorted(path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*")))


def test_a_file_that_cannot_be_synced_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        disk.sync_tree(tmp_path)
    disk.sync_folder(tmp_path)


def test_the_error_of_the_system_is_found_among_the_causes() -> None:
    system = OSError(28, "No space left on device")
    library = RuntimeError("unexpected pos 896 vs 790")
    library.__context__ = system
    assert disk.system_error(library) is disk.system_error(system) is system
    assert disk.system_error(RuntimeError("a bug")) is None


def test_a_new_folder_and_the_names_of_those_above_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(disk, "sync_folder", synced.append)
    disk.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert set(synced) == {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    synced.clear()
    disk.make_folder(tmp_path / "a" / "b")
    assert synced == []


def test_an_atomic_file_and_its_folder_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    disk.write_text(tmp_path / "new" / "a", "content")
    places = (tmp_path / "new" / "a", tmp_path / "new", tmp_path)
    assert {place.stat().st_ino for place in places} <= set(synced)


# Links in the folder of a stranger


def test_a_link_is_not_opened_for_writing(tmp_path: Path) -> None:
    victim = tmp_path / "of the user"
    victim.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="it is a link; put the file itself in its place"):
        disk.open_itself(link, os.O_RDWR | os.O_APPEND)
    link.unlink()
    link.symlink_to(tmp_path / "not there")
    with pytest.raises(OSError, match="it is a link"):
        disk.open_itself(link, os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "not there").exists()


def test_a_link_that_appears_after_the_look_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of the user").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "of the user")

    def nothing_there(path: Path) -> os.stat_result:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "lstat", nothing_there)
    with pytest.raises(OSError, match="symbolic links"):
        disk.open_itself(tmp_path / "link", os.O_RDWR)


def test_a_pipe_is_not_opened_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no regular file"):
        disk.open_itself(tmp_path / "pipe", os.O_RDONLY)


def test_a_file_behind_a_linked_folder_is_opened(tmp_path: Path) -> None:
    (tmp_path / "other disk").mkdir()
    (tmp_path / "trials").symlink_to(tmp_path / "other disk")
    os.close(disk.open_itself(tmp_path / "trials" / "a", os.O_RDWR | os.O_CREAT))
    assert (tmp_path / "other disk" / "a").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize("name", [None, "fixed.part"])
def test_a_link_at_the_unfinished_file_is_not_written_through(
    tmp_path: Path, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "of the user"
    victim.write_text("precious")
    tokens = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: next(tokens))
    temporary = tmp_path / (name or f".a.{os.getpid()}.{'0' * 16}.tmp")
    temporary.symlink_to(victim)
    with disk.atomic_file(tmp_path / "a", tmp_path / name if name else None) as path:
        path.write_text("new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "a").read_text() == "new"
    assert not (tmp_path / "a").is_symlink()


def test_an_error_that_is_its_own_cause_or_has_no_text_is_looked_at_once() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    error = Mute()
    error.__cause__ = error
    assert list(disk.causes(error)) == [error]
    assert not disk.is_disk_full(error)


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    token = "0123456789abcdef"
    names = (".board.md.4711.tmp", f".board.md.1.{token}.tmp")
    old = [tmp_path / name for name in names]
    other = tmp_path / f".board.md.4712.{token}.tmp"
    strange = [
        tmp_path / name
        for name in (
            *(".board.md.mine.tmp", ".other.md.4711.tmp", "4711.tmp", ".board.md.1.4711.tmp"),
            *(f".board.md.md.1.{token}.tmp", f".boardxmd.1.{token}.tmp"),
        )
    ]
    for path in (*old, other, *strange):
        path.write_text("half")
    for path in (*old, *strange):
        os.utime(path, (0, 0))
    disk.write_text(tmp_path / "board.md", "whole")
    # Another process may still write a new one.
    assert not any(path.exists() for path in old)
    assert other.exists()
    assert all(path.exists() for path in strange)
    assert (tmp_path / "board.md").read_text() == "whole"


def test_writers_with_the_same_number_of_process_have_each_their_own_file(tmp_path: Path) -> None:
    """Threads, and containers that share a folder, have the same number."""
    with disk.atomic_file(tmp_path / "a") as first:
        first.write_text("first")
        with disk.atomic_file(tmp_path / "a") as second:
            assert second != first
            second.write_text("second")
        assert first.read_text() == "first"
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    disk.write_text(tmp_path / "a", "content")
    (tmp_path / "plain").write_text("content")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
