"""Locks between processes, and the wait for another run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robench._base import files as disk
from robench._base import waiting
from robench._base.errors import RobenchError
from robench._base.waiting import Patience, alone, is_held

HOLDER = """
import sys, time
from pathlib import Path
from robench._base.waiting import alone

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
            pytest.raises(RobenchError, match=r"^somebody is at it Wait until it has ended"),
            alone(path, "somebody is at it"),
        ):
            pytest.fail("the lock was taken twice")
        assert path.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert path.exists()
        with alone(path, "somebody is at it"):
            assert path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_released_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), alone(tmp_path / "x.lock", "held"):
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

    monkeypatch.setattr(waiting, "lock", late)
    with alone(path, "held"):
        assert len(taken) == 2
        with pytest.raises(RobenchError, match="held"), alone(path, "held"):
            pytest.fail("the lock was taken twice")


def test_a_file_system_without_locks_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_descriptor: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(disk, "lock_descriptor", none)
    with alone(tmp_path / "x.lock", "held"), alone(tmp_path / "x.lock", "held"):
        pass


def test_a_lock_file_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RobenchError, match=r"lock file '.*x\.lock' cannot be made"),
        alone(tmp_path / "file" / "x.lock", "held"),
    ):
        pytest.fail("there is no such folder")


def test_a_run_waits_for_the_other_one_and_says_so(tmp_path: Path) -> None:
    path, said = tmp_path / "x.lock", list[str]()
    with another_process_holding(path) as holder:
        threading.Timer(0.6, holder.kill).start()
        with alone(path, "Another run is at it.", Patience(None, said.append)) as waited:
            assert waited
    assert said[0] == "Another run is at it. This run waits for it."
    assert said[1].startswith("The other run has ended this part; the wait took ")
    assert len(said) == 2
    assert not path.exists()


def test_the_patience_ends(tmp_path: Path) -> None:
    path, said = tmp_path / "x.lock", list[str]()
    with another_process_holding(path):
        before = time.monotonic()
        with (
            pytest.raises(
                RobenchError, match=r"^Busy\. This run has waited 0\.5 s for it \(--wait\)"
            ),
            alone(path, "Busy.", Patience(0.5, said.append)),
        ):
            pytest.fail("the lock was taken twice")
        assert 0.4 < time.monotonic() - before < 30
    assert said == ["Busy. This run waits for it."]


def test_a_free_lock_needs_no_message(tmp_path: Path) -> None:
    said: list[str] = []
    with alone(tmp_path / "x.lock", "Busy.", Patience(None, said.append)) as waited:
        assert not waited
    assert said == []


def test_many_runs_take_turns(tmp_path: Path) -> None:
    """The lock file is removed after each turn, so a waiting run may hold a removed file."""
    path, inside, most = tmp_path / "x.lock", list[int](), list[int]()

    def run(number: int) -> None:
        with alone(path, "Busy.", Patience(None, lambda text: None)):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 6


def test_a_look_at_a_lock_says_whether_another_process_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert not is_held(path)
    assert not path.exists()
    with another_process_holding(path):
        assert is_held(path)
    assert not is_held(path)


def test_a_run_that_looks_for_a_moment_is_no_run_that_works(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.touch()
    with path.open("r+b") as looking:
        assert disk.lock(looking.fileno())
        threading.Timer(waiting.LOOK_SECONDS / 2, looking.close).start()
        with alone(path, "somebody is at it") as waited:
            assert not waited
