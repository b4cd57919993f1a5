"""The fork server: what its children have, when it is not used, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from child_cases import end, sleep, start_a_grandchild, use_memory, write_facts

from robench._base import fork_server
from robench._base.child import exit_code, peak_of_forked, start_child

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux only")
pytestmark = linux


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


@pytest.mark.parametrize("change", ["switch", "variable", "removed", "path"])
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
    else:
        monkeypatch.syspath_prepend(str(tmp_path))
    assert facts(tmp_path)["method"] == "spawn"
    monkeypatch.undo()
    assert facts(tmp_path)["method"] == "forkserver"


def test_a_child_does_not_use_the_server_of_its_parent(tmp_path: Path) -> None:
    """It would not end with this child."""
    assert facts(tmp_path, function=start_a_grandchild)["method"] == "spawn"


@pytest.mark.parametrize(("how", "code"), [(9, -9), (15, -15), (-3, 3)])
def test_the_parent_learns_how_a_child_ended(how: int, code: int) -> None:
    child = start_child(end, how, ())
    child.join()
    assert exit_code(child) == code


def test_the_peak_memory_of_a_child_counts() -> None:
    from robench._base.environment import peak_memory

    before, _ = peak_memory("cpu")
    assert before is not None
    start_child(use_memory, before + 2**26, ()).join()
    assert peak_of_forked() * 1024 > before + 2**26
    found, _ = peak_memory("cpu")
    assert found == peak_of_forked() * 1024


def test_after_the_death_of_the_server_there_is_another_one(tmp_path: Path) -> None:
    child = start_child(sleep, "", ())
    before = server()
    os.kill(before, signal.SIGKILL)
    child.join(10)
    assert exit_code(child) == -signal.SIGKILL
    assert gone([before])
    for number in range(2):
        assert facts(tmp_path)["method"] == "forkserver", number
    assert server() != before


def test_a_server_that_cannot_fork_costs_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise EOFError

    monkeypatch.setattr(forkserver, "connect_to_new_process", refuse)
    assert facts(tmp_path)["method"] == "spawn"


def server() -> int:
    number: int = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return number


class TestInAProgram:
    """With a program of its own, because a process has one server only."""

    def run(
        self,
        folder: Path,
        body: Sequence[str],
        *options: str,
        at: Path | None = None,
        before: Sequence[str] = (),
    ) -> str:
        done = self.start(folder, body, *options, at=at, before=before)
        output, errors = done.communicate(timeout=120)
        assert done.returncode == 0, errors
        return output

    def start(
        self,
        folder: Path,
        body: Sequence[str],
        *options: str,
        at: Path | None = None,
        before: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start a program; its lines before the import of robench are ``before``."""
        folder.mkdir(exist_ok=True)
        lines = [
            "import json, os, sys, threading, time",
            *before,
            f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]",
            "from multiprocessing import forkserver",
            "from child_cases import sleep, write_facts",
            "from robench._base.child import start_child",
            "def facts(*names):",
            "    child = start_child(write_facts, 'facts.json', names, ())",
            "    child.join()",
            "    return json.load(open('facts.json'))",
            "if __name__ == '__main__':",
            *(f"    {line}" for line in body),
        ]
        program = folder / "program.py"
        program.write_text("\n".join(lines))
        without = {"PYTHONPATH", "PYTHONSAFEPATH"}
        return subprocess.Popen(
            [sys.executable, *options, str(program)],
            cwd=at or folder,
            env={name: value for name, value in os.environ.items() if name not in without},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_the_server_has_the_libraries_that_its_parent_has(self, tmp_path: Path) -> None:
        names = ("torch", "transformers", "transformers.models.bert.modeling_bert")
        line = f"print(facts(*{names})['imported'])"
        load = "from transformers.models.bert import modeling_bert"
        assert self.run(tmp_path, [line]).strip() == "[]"
        assert self.run(tmp_path, [line], before=["import torch", load]).strip() == str([*names])

    def test_it_imports_nothing_of_the_folder_in_which_it_starts(self, tmp_path: Path) -> None:
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        for name in ("robench", "torch", "multiprocessing", "pickle"):
            (stranger / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
        output = self.run(tmp_path / "own", ["print(facts()['method'])"], at=stranger)
        assert output.strip() == "forkserver"
        assert not (tmp_path / "mark").exists()

    def test_it_imports_from_where_its_parent_imports(self, tmp_path: Path) -> None:
        """Here 'transformers' is another package, which the program has put before all others."""
        other = tmp_path / "other" / "transformers"
        (other / "models").mkdir(parents=True)
        (other / "__init__.py").write_text("MARK = 'other'")
        (other / "modeling_utils.py").write_text("")
        (other / "models" / "__init__.py").write_text("")
        (other / "models" / "own.py").write_text("")
        (tmp_path / "looking.py").write_text(
            "import sys\ndef look(path):\n    module = sys.modules['transformers.models.own']\n"
            "    open(path, 'w').write(module.__file__)\n"
        )
        before = [f"sys.path.insert(0, {str(tmp_path / 'other')!r})"]
        before += ["import torch, transformers.models.own"]
        body = ["from looking import look"]
        body += ["start_child(look, 'seen', ()).join()", "print(open('seen').read())"]
        output = self.run(tmp_path, body, before=before)
        assert output.strip() == str(other / "models" / "own.py")

    def test_a_python_that_ignores_the_environment_has_no_server(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, ["print(facts()['method'])"], "-E").strip() == "spawn"

    def test_a_thread_starts_no_server_and_uses_one(self, tmp_path: Path) -> None:
        body = [
            "def ask():",
            "    print(facts()['method'])",
            "for _ in range(2):",
            "    thread = threading.Thread(target=ask)",
            "    thread.start()",
            "    thread.join()",
            "    ask()",
        ]
        output = self.run(tmp_path, body).split()
        assert output == ["spawn", "forkserver", "forkserver", "forkserver"]

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_it_ends_with_a_killed_parent_and_its_children_too(
        self, tmp_path: Path, number: int
    ) -> None:
        body = ["child = start_child(sleep, '', ())"]
        body += ["print(forkserver._forkserver._forkserver_pid, child.pid, flush=True)"]
        body += ["time.sleep(60)"]
        parent = self.start(tmp_path, body)
        assert parent.stdout is not None
        numbers = [int(each) for each in parent.stdout.readline().split()]
        parent.send_signal(number)
        # Nobody else holds the ends of these pipes.
        parent.communicate(timeout=10)
        assert gone(numbers)

    def test_a_parent_that_ends_early_does_not_wait_for_its_imports(self, tmp_path: Path) -> None:
        body = ["from robench._base.fork_server import server_context"]
        body += ["assert server_context() is not None"]
        body += ["print(forkserver._forkserver._forkserver_pid)", "os._exit(0)"]
        output = self.run(tmp_path, body, before=["import torch, transformers"])
        assert gone([int(output)])

    def test_what_it_imports_first_has_no_effect_elsewhere(self, tmp_path: Path) -> None:
        body = ["import robench._base.server_process", "child = os.fork()"]
        body += ["if not child:", "    time.sleep(0.2)", "    os._exit(5)"]
        body += ["print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"]
        assert self.run(tmp_path, body).strip() == "5"


def gone(numbers: Sequence[int]) -> bool:
    """Return whether processes end soon; zombies, which nobody here can collect, have ended."""
    for _ in range(100):
        if not any(map(lives, numbers)):
            return True
        time.sleep(0.05)
    return False


def lives(number: int) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
