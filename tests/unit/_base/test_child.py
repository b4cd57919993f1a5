"""A child process ends soon after its parent, however the parent ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from multiprocessing import current_process
from pathlib import Path

import pytest

from robench._base.child import start_child
from robench._base.errors import UsageError

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent
SCRIPT = """
import sys, threading, time
sys.path.append({tests!r})
from child_cases import {function} as function, use_memory
from robench._base.child import start_child

def start():
    global child
    child = start_child(function, {argument!r}, ())
    print(child.pid, flush=True)

if __name__ == "__main__":
    if {thread}:
        # A thread uses a fork server, and starts none.
        start_child(use_memory, 1, ()).join()
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
    else:
        start()
    child.join()
    print(child.exitcode, flush=True)
"""


@pytest.fixture(params=["1", "0"], ids=["forked", "new"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children come from the fork server, or each is a new Python."""
    monkeypatch.setenv("ROBENCH_FORK_SERVER", request.param)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def start(
    folder: Path, function: str, argument: str = "", *, thread: bool = False
) -> tuple[subprocess.Popen[str], int]:
    text = SCRIPT.format(tests=str(TESTS), function=function, argument=argument, thread=thread)
    script = folder / "parent.py"
    script.write_text(text)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def seconds_until_gone(number: int) -> float:
    """Return the seconds until a process is gone; zombies count as gone."""
    started = time.monotonic()
    while time.monotonic() - started < 30:
        try:
            stat = Path(f"/proc/{number}/stat").read_text()
        except OSError:
            break
        if stat.rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
class TestOnLinux:
    @pytest.mark.parametrize("function", ["sleep", "loop", "hold_the_lock"])
    def test_it_ends_within_a_second_of_a_killed_parent(
        self, tmp_path: Path, function: str
    ) -> None:
        parent, child = start(tmp_path, function)
        time.sleep(0.5)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert seconds_until_gone(child) < 1
        parent.communicate()

    def test_it_ends_with_a_parent_that_is_killed_at_once(self, tmp_path: Path) -> None:
        parent, child = start(tmp_path, "sleep")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        # It may still be starting Python, on a busy machine.
        assert seconds_until_gone(child) < 5
        parent.communicate()

    def test_the_end_of_the_thread_that_started_it_is_not_its_end(self, tmp_path: Path) -> None:
        parent, child = start(tmp_path, "sleep", thread=True)
        time.sleep(1.5)
        assert Path(f"/proc/{child}").exists()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert seconds_until_gone(child) < 1
        parent.communicate()


def test_a_daemon_of_multiprocessing_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(current_process())["_config"], "daemon", True)
    with pytest.raises(UsageError, match=r"is a daemon of multiprocessing.* Give workers=1"):
        start_child(print, ())


@pytest.mark.parametrize("function", ["write", "start_another"])
def test_it_gets_its_arguments_and_ends_by_itself(tmp_path: Path, function: str) -> None:
    parent, _ = start(tmp_path, function, str(tmp_path / "written"))
    output, _ = parent.communicate(timeout=60)
    assert (tmp_path / "written").read_text() == "done"
    assert output.split() == ["0"]
