"""Locks between processes, files that are forced to the disk, and disk errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robench._base import files as disk
from robench._base.errors import RobenchError

HOLDER = """
import sys, time
from pathlib import Path
from robench._base.files import alone

with alone(Path(sys.argv[1]), ""):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    time.sleep(60)
"""


@contextmanager
def another_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_of_another_process_is_refused_until_that_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.lock"
    with another_process_holding(path) as holder:
        with (
            pytest.raises(RobenchError, match=r"^somebody is at it$"),
            disk.alone(path, "somebody is at it"),
        ):
            pytest.fail("the lock was taken twice")
        assert path.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert path.exists()
        with disk.alone(path, "somebody is at it"):
            assert path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_released_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), disk.alone(tmp_path / "x.lock", "held"):
            raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_is_removed_before_it_is_locked_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder removes it at that moment, and a third process may make it anew.

    Without a second check, two processes would hold the lock.
    """
    path = tmp_path / "x.lock"
    take, taken = disk.lock, []

    def late(descriptor: int) -> bool:
        taken.append(descriptor)
        if len(taken) == 1:
            path.unlink()
        return take(descriptor)

    monkeypatch.setattr(disk, "lock", late)
    with disk.alone(path, "held"):
        assert len(taken) == 2
        with pytest.raises(RobenchError, match="held"), disk.alone(path, "held"):
            pytest.fail("the lock was taken twice")


def test_a_file_system_without_locks_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_descriptor: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(disk, "lock_descriptor", none)
    with disk.alone(tmp_path / "x.lock", "held"), disk.alone(tmp_path / "x.lock", "held"):
        pass


def test_a_lock_file_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RobenchError, match=r"lock file '.*x\.lock' cannot be made"),
        disk.alone(tmp_path / "file" / "x.lock", "held"),
    ):
        pytest.fail("there is no such folder")


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
