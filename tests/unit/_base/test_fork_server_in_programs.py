"""The fork server in programs of their own, because a process has one server only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from child_cases import gone, gone_children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux only")

ROOT = Path(__file__).parents[3]


def run(
    folder: Path,
    body: Sequence[str],
    *options: str,
    at: Path | None = None,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> str:
    done = start(folder, body, *options, at=at, before=before, after=after)
    output, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors
    return output


def start(
    folder: Path,
    body: Sequence[str],
    *options: str,
    at: Path | None = None,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start a program with the arguments ``after``.

    Its lines before the import of robench are ``before``.
    """
    folder.mkdir(exist_ok=True)
    lines = [
        "import json, os, sys, threading, time",
        *before,
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]",
        "from robench._base.fork_server import SERVER",
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
        [sys.executable, *options, str(program), *after],
        cwd=at or folder,
        env={name: value for name, value in os.environ.items() if name not in without},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_server_has_the_libraries_that_its_parent_has(tmp_path: Path) -> None:
    names = ("torch", "transformers", "transformers.models.bert.modeling_bert")
    line = f"print(facts(*{names})['imported'])"
    load = "from transformers.models.bert import modeling_bert"
    assert run(tmp_path, [line]).strip() == "[]"
    assert run(tmp_path, [line], before=["import torch", load]).strip() == str([*names])


def test_it_imports_nothing_of_the_folder_in_which_it_starts(tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name in ("robench", "torch", "multiprocessing", "pickle"):
        (stranger / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    output = run(tmp_path / "own", ["print(facts()['method'])"], at=stranger)
    assert output.strip() == "forkserver"
    assert not (tmp_path / "mark").exists()


def other_transformers(folder: Path, code: str = "") -> list[str]:
    """Write another package 'transformers'; return lines that put it before all others."""
    package = folder / "other" / "transformers"
    (package / "models" / "own").mkdir(parents=True)
    for name in ("__init__", "modeling_utils", "models/__init__", "models/own/__init__"):
        (package / f"{name}.py").write_text("")
    (package / "models" / "own" / "modeling_own.py").write_text(code)
    first = f"sys.path.insert(0, {str(folder / 'other')!r})"
    return [first, "import torch, transformers.models.own.modeling_own"]


def test_it_imports_from_where_its_parent_imports(tmp_path: Path) -> None:
    before = other_transformers(tmp_path)
    lines = ["import sys", "def look(path):"]
    lines += ["    module = sys.modules['transformers.models.own.modeling_own']"]
    lines += ["    open(path, 'w').write(module.__file__)"]
    (tmp_path / "looking.py").write_text("\n".join(lines))
    body = ["from looking import look"]
    body += ["start_child(look, 'seen', ()).join()", "print(open('seen').read())"]
    output = run(tmp_path, body, before=before)
    assert output.strip() == str(
        tmp_path / "other" / "transformers" / "models" / "own" / "modeling_own.py"
    )


def test_a_python_that_ignores_the_environment_has_no_server(tmp_path: Path) -> None:
    assert run(tmp_path, ["print(facts()['method'])"], "-E").strip() == "spawn"


@pytest.mark.parametrize("after", [(), ("collected",)])
def test_a_thread_starts_no_server_and_uses_one(tmp_path: Path, after: tuple[str, ...]) -> None:
    body = [
        "def ask():",
        "    print(facts()['method'])",
        "for _ in range(2):",
        "    thread = threading.Thread(target=ask)",
        "    thread.start()",
        "    thread.join()",
        "    ask()",
    ]
    body += [
        "os.kill(SERVER.number, 9)",
        "while SERVER._runs():",
        "    time.sleep(0.01)",
        "if sys.argv[1:]:",
        "    os.waitpid(SERVER.number, 0)",
        "thread = threading.Thread(target=ask)",
        "thread.start()",
        "thread.join()",
        "ask()",
    ]
    output = run(tmp_path, body, after=after).split()
    assert output == ["spawn", *3 * ["forkserver"], "spawn", "forkserver"]


def test_a_copy_of_the_program_does_not_use_its_server(tmp_path: Path) -> None:
    body = ["print(facts()['method'], flush=True)", "child = os.fork()"]
    body += ["print(facts()['method'], flush=True)", "if not child:", "    os._exit(0)"]
    body += ["os.waitpid(child, 0)"]
    output = run(tmp_path, body).split()
    assert sorted(output) == ["forkserver", "forkserver", "spawn"]


def test_the_fork_server_of_the_program_is_another_one(tmp_path: Path) -> None:
    body = [
        "from multiprocessing import forkserver, get_context",
        "own = get_context('forkserver')",
        "def ask():",
        "    process = own.Process(target=write_facts, args=('own.json', ('PYTHONPATH',)))",
        "    process.start()",
        "    process.join()",
        "    return json.load(open('own.json'))['environment']['PYTHONPATH']",
        "own.set_forkserver_preload(['json'])",
        "print(ask(), facts()['method'], ask())",
        "theirs = forkserver._forkserver",
        "print(theirs._preload_modules, theirs._forkserver_pid != SERVER.number)",
    ]
    output = run(tmp_path, body).splitlines()
    assert output == ["None forkserver None", "['json'] True"]


def test_an_interrupted_start_leaves_no_child(tmp_path: Path) -> None:
    """The server imports torch meanwhile, and gets the order to fork before that."""
    body = [
        "import signal",
        "def interrupt(*_):",
        "    raise KeyboardInterrupt",
        "signal.signal(signal.SIGALRM, interrupt)",
        "signal.setitimer(signal.ITIMER_REAL, 0.3)",
        "kept = None",
        "try:",
        "    start_child(sleep, '', ())",
        "except KeyboardInterrupt as error:",
        "    kept = error",
        "assert kept is not None",
        "print(facts()['method'], SERVER.number, flush=True)",
        "time.sleep(60)",
    ]
    parent = start(tmp_path, body, before=["import torch, transformers"])
    assert parent.stdout is not None
    method, number = parent.stdout.readline().split()
    assert method == "forkserver"
    try:
        assert gone_children(int(number))
    finally:
        parent.kill()
        parent.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_killed_parent_and_its_children_too(tmp_path: Path, number: int) -> None:
    body = ["child = start_child(sleep, '', ())"]
    body += ["print(SERVER.number, child.pid, flush=True)"]
    body += ["time.sleep(60)"]
    parent = start(tmp_path, body)
    assert parent.stdout is not None
    numbers = [int(each) for each in parent.stdout.readline().split()]
    parent.send_signal(number)
    # Nobody else holds the ends of these pipes.
    parent.communicate(timeout=10)
    assert gone(numbers)


def test_a_server_that_ends_before_it_forks_is_not_started_there(tmp_path: Path) -> None:
    """It would start under other conditions: with the modules of the current folder."""
    body = ["child = SERVER.process(print, ())", "os.kill(SERVER.number, 9)"]
    body += ["while SERVER._runs():", "    time.sleep(0.01)", "try:", "    child.start()"]
    body += ["except (OSError, EOFError):", "    print('refused', facts()['method'])"]
    assert run(tmp_path, body).split() == ["refused", "forkserver"]


def test_a_server_that_the_program_collects_leaves_nothing_open(tmp_path: Path) -> None:
    body = ["facts()", "before = len(os.listdir('/proc/self/fd'))"]
    body += ["os.kill(SERVER.number, 9)", "os.waitpid(SERVER.number, 0)", "facts()"]
    body += ["print(len(os.listdir('/proc/self/fd')) - before)"]
    assert run(tmp_path, body).strip() == "0"


@pytest.mark.parametrize(
    "change",
    [
        "os.nice(1)",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))",
        "os.dup2(os.open('other', os.O_WRONLY | os.O_CREAT), 2)",
    ],
)
def test_under_what_a_program_has_changed_for_good_a_child_is_a_new_python(
    tmp_path: Path, change: str
) -> None:
    body = ["before = facts()['method']", change, "print(before, facts()['method'])"]
    assert run(tmp_path, body).split() == ["forkserver", "spawn"]


def test_no_two_children_draw_the_same_numbers(tmp_path: Path) -> None:
    body = ["from child_cases import draw", "print(facts('torch')['imported'])"]
    body += [
        "for name in 'ab':",
        "    start_child(draw, name, ()).join()",
        "    print(open(name).read())",
    ]
    first, *drawn = run(tmp_path, body, before=["import torch, transformers"]).splitlines()
    assert first == "['torch']"
    assert all(one != other for one, other in zip(*map(str.split, drawn), strict=True))
    assert [len(each.split()) for each in drawn] == [3, 3]


def test_a_child_whose_server_ended_before_does_nothing(tmp_path: Path) -> None:
    """A child imports the program first."""
    before = ["if __name__ == '__mp_main__':", "    server = os.getppid()"]
    # It tells the program about this process first.
    before += ["    time.sleep(2)", "    os.kill(server, 9)"]
    before += ["    while os.getppid() == server:", "        time.sleep(0.01)"]
    body = ["child = start_child(write_facts, 'facts.json', (), ())", "child.join()"]
    body += ["time.sleep(1)", "print(child.exitcode, os.path.exists('facts.json'))"]
    assert run(tmp_path, body, before=before).split() == ["-9", "False"]


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 2])
def test_a_server_does_not_go_on_importing_without_its_parent(
    tmp_path: Path, seconds: float
) -> None:
    """Its imports take ten minutes here."""
    wait = "import sys, time\nif 'forkserver' in str(sys.orig_argv):\n    time.sleep(600)"
    body = ["assert SERVER.process(print, ()) is not None"]
    body += ["print(SERVER.number, flush=True)", f"time.sleep({seconds})", "os._exit(0)"]
    # The server has the ends of these pipes, too.
    output = run(tmp_path, body, before=other_transformers(tmp_path, wait))
    assert gone([int(output)])


def test_what_it_imports_first_has_no_effect_elsewhere(tmp_path: Path) -> None:
    body = ["import robench._base.server_process", "child = os.fork()"]
    body += ["if not child:", "    time.sleep(0.2)", "    os._exit(5)"]
    body += ["print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"]
    assert run(tmp_path, body).strip() == "5"
