"""The fork server: what its children have, when it is not used, and how it ends."""

from __future__ import annotations

import json
import multiprocessing.util
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
from child_cases import (
    end,
    gone,
    register_an_end,
    sleep,
    start_a_grandchild,
    use_memory,
    use_memory_and_sleep,
    write_facts,
)

from robench._base import child as child_module
from robench._base import fork_server
from robench._base.child import peak_of_forked, start_child
from robench._base.environment import peak_memory
from robench._base.fork_server import MOST_FAILURES, Server
from robench._base.forked_process import ForkedProcess, environment_variables

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux only")
pytestmark = linux


@pytest.fixture(scope="module", autouse=True)
def new_server() -> Iterator[None]:
    """Begin under the conditions of this moment. Tests before may have begun under others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_module, "SERVER", Server())
        yield


def server() -> Server:
    """Return the server of these tests."""
    found: Server = vars(child_module)["SERVER"]
    return found


def facts(folder: Path, *names: str, function: Any = write_facts) -> dict[str, Any]:
    """Return what a child says of itself."""
    path = folder / "facts.json"
    child = start_child(function, str(path), names, ())
    child.join()
    assert child.exitcode == 0
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_child_has_all_that_its_parent_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_child(use_memory, 1, ()).join()
    monkeypatch.setenv("ROBENCH_FOR_THIS_TEST", "later")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    found = facts(tmp_path, "ROBENCH_FOR_THIS_TEST", "PYTHONPATH", "PYTHONSAFEPATH")
    assert found["method"] == "forkserver"
    assert found["environment"] == {
        "ROBENCH_FOR_THIS_TEST": "later",
        "PYTHONPATH": os.environ.get("PYTHONPATH"),
        "PYTHONSAFEPATH": None,
    }
    assert (found["path"], found["argv"]) == (sys.path, sys.argv)
    assert found["folder"] == str(Path.cwd())
    assert found["interrupts blocked"]
    assert found["start method"] == "spawn"


@pytest.mark.parametrize(
    "change",
    [
        "switch",
        "variable",
        "removed",
        "lean imports",
        "path",
        "no text",
        "two folders",
        "umask",
        "limit",
        "cores",
    ],
)
def test_under_other_conditions_a_child_is_a_new_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    assert facts(tmp_path)["method"] == "forkserver"
    if change == "switch":
        monkeypatch.setenv(fork_server.SWITCH, "0")
    elif change == "variable":
        monkeypatch.setenv("HF_HOME", str(tmp_path))
    elif change == "removed":
        monkeypatch.delenv("PATH")
    elif change == "lean imports":
        monkeypatch.setenv("ROBENCH_LEAN_IMPORTS", os.environ.get("ROBENCH_LEAN_IMPORTS", "") + "0")
    elif change == "path":
        monkeypatch.syspath_prepend(str(tmp_path))
    elif change == "no text":
        monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    elif change == "two folders":
        monkeypatch.setattr(sys, "path", [*sys.path, f"{tmp_path}:{tmp_path}"])
    elif change == "umask":
        os.umask(os.umask(0) ^ 0o070)
    elif change == "limit":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 999})
    assert facts(tmp_path)["method"] == "spawn"
    monkeypatch.undo()
    if change == "umask":
        os.umask(os.umask(0) ^ 0o070)
    if change == "limit":
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert facts(tmp_path)["method"] == "forkserver"


def test_a_child_does_not_use_the_server_of_its_parent(tmp_path: Path) -> None:
    """It would not end with this child."""
    assert facts(tmp_path, function=start_a_grandchild)["method"] == "spawn"


@pytest.mark.parametrize(("how", "code"), [(9, -9), (15, -15), (-3, 3)])
def test_the_parent_learns_how_a_child_ended(how: int, code: int) -> None:
    child = start_child(end, how, ())
    child.join()
    assert child.exitcode == code


def test_threads_that_ask_at_the_same_time_learn_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    child = start_child(end, -3, ())
    wait([child.sentinel])
    read, tries, found = forkserver.read_signed, [], []

    def read_slowly(descriptor: int) -> int:
        tries.append(descriptor)
        time.sleep(0.2)
        code: int = read(descriptor)
        return code

    monkeypatch.setattr(forkserver, "read_signed", read_slowly)
    threads = [threading.Thread(target=lambda: found.append(child.exitcode)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (found, len(tries)) == ([3, 3, 3], 1)


def test_no_signal_is_sent_to_the_number_of_a_process_that_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its number may be another one's."""
    child = start_child(end, -3, ())
    wait([child.sentinel])
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    child.kill()
    assert child.exitcode == 3


def test_threads_change_variables_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBENCH_FOR_THIS_TEST", raising=False)
    inside, over = threading.Event(), threading.Event()

    def first() -> None:
        with environment_variables({"ROBENCH_FOR_THIS_TEST": "1"}):
            inside.set()
            time.sleep(0.3)
        over.set()

    def second() -> None:
        inside.wait(10)
        with environment_variables({"ROBENCH_FOR_THIS_TEST": "2"}):
            over.wait(10)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert "ROBENCH_FOR_THIS_TEST" not in os.environ


def test_the_peak_memory_of_a_child_counts() -> None:
    before, _ = peak_memory("cpu")
    assert before is not None
    start_child(use_memory, before + 2**26, ()).join()
    assert peak_of_forked() * 1024 > before + 2**26
    found, _ = peak_memory("cpu")
    assert found == peak_of_forked() * 1024


def test_the_peak_memory_of_a_killed_child_counts() -> None:
    before, _ = peak_memory("cpu")
    assert before is not None
    child = start_child(use_memory_and_sleep, before + 2**26, ())
    for _ in range(600):
        if peak_of_forked() * 1024 > before + 2**26:
            break
        time.sleep(0.1)
    child.kill()
    child.join()
    assert peak_of_forked() * 1024 > before + 2**26


def test_after_the_death_of_the_server_there_is_another_one(tmp_path: Path) -> None:
    child = start_child(sleep, "", ())
    before = server().number
    assert before is not None
    os.kill(before, signal.SIGKILL)
    child.join(10)
    assert child.exitcode == -signal.SIGKILL
    assert gone([before])
    for number in range(2):
        assert facts(tmp_path)["method"] == "forkserver", number
    assert server().number != before


def test_a_server_that_cannot_fork_costs_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def refuse(*_: object) -> None:
        tries.append(1)
        raise EOFError

    monkeypatch.setattr(child_module, "SERVER", Server())
    monkeypatch.setattr(ForkedProcess, "start", refuse)
    for _ in range(MOST_FAILURES + 2):
        assert facts(tmp_path)["method"] == "spawn"
    assert len(tries) == MOST_FAILURES


def test_a_server_that_cannot_start_costs_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket has no room for the name of a folder as long as this one."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(child_module, "SERVER", Server())
    monkeypatch.setattr(multiprocessing.util, "get_temp_dir", lambda: str(folder))
    assert facts(tmp_path)["method"] == "spawn"


def test_a_child_does_at_its_end_what_a_new_python_does(tmp_path: Path) -> None:
    start_child(register_an_end, str(tmp_path / "mark"), ()).join()
    assert (tmp_path / "mark").read_text() == "end"


def test_with_a_gpu_only_the_switch_uses_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.delenv(fork_server.SWITCH, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert facts(tmp_path)["method"] == "spawn"
    monkeypatch.setenv(fork_server.SWITCH, "1")
    assert facts(tmp_path)["method"] == "forkserver"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_the_command_line_of_the_server_is_short() -> None:
    """It stands in lists of processes."""
    start_child(use_memory, 1, ()).join()
    command = Path(f"/proc/{server().number}/cmdline").read_text()
    assert "robench._base.server_process" in command
    assert len(command) < 4000
