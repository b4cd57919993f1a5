"""Code that tries to end the process raises an error instead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from robench import Trial, Verdict
from robench._base.files import write_text
from robench._base.no_exit import (
    EndedByCode,
    as_failure,
    end_copy,
    without_exits,
    without_os_exit,
)
from robench.search.trials import TrialFile

NOW = os._exit
TRIAL = Trial(id="x", verdict=Verdict.HELD, label=0, prediction=0)


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (lambda: os._exit(0), "os._exit(0)"),
        (lambda: os._exit(7), "os._exit(7)"),
        (lambda: os.abort(), "os.abort()"),
        (lambda: sys.exit(0), "SystemExit(0)"),
        (sys.exit, "SystemExit()"),
        (lambda: sys.exit("x" * 500), "SystemExit('xxxxx"),
    ],
)
def test_an_end_becomes_an_error_with_one_short_sentence(
    end: Callable[[], object], shown: str
) -> None:
    with pytest.raises(EndedByCode) as caught, without_exits():
        end()
    assert shown in str(caught.value)
    assert len(str(caught.value)) < 250


def in_fork(work: Callable[[], object]) -> int:
    """Return the exit code of a fork of this process that does some work."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            NOW(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("kind", ["file", "line"])
def test_a_fork_of_a_plugin_writes_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "written"
    write: Callable[[], object] = lambda: write_text(path, "twice")  # noqa: E731
    if kind == "line":
        write = lambda: TrialFile(path, cell="a" * 64).append(TRIAL)  # noqa: E731
    with without_exits():
        assert in_fork(write) == 1
        assert in_fork(end_copy) == 1
        assert not path.exists()
        write()
    assert path.exists()
    assert in_fork(end_copy) == 0
    with without_exits():
        # It has a run of its own.
        assert in_fork(without_exits()(end_copy)) == 0


def test_the_functions_are_themselves_again_afterwards() -> None:
    before = os._exit, os.abort
    with without_os_exit():
        assert os._exit is not before[0]
        with without_os_exit():
            pass
        assert os._exit is not before[0]
    assert (os._exit, os.abort) == before
    with pytest.raises(ValueError, match="own"), without_os_exit():
        raise ValueError("own")
    assert (os._exit, os.abort) == before


def test_other_exceptions_pass() -> None:
    for error in (KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(error)) as caught, without_exits():
            raise error
        assert caught.value is error


def test_a_forked_process_ends_as_usual() -> None:
    script = (
        "import os\n"
        "from robench._base.no_exit import without_exits\n"
        "with without_exits():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(5)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_a_program_may_end_itself_on_a_signal() -> None:
    def handler(number: int, frame: object) -> None:
        sys.exit(3)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(SystemExit) as caught, as_failure():
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught.value.code == 3
