"""A signal ends a process with its exit code and one sentence, whatever the code does."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child_cases import lives

from robench._base.ending import (
    SIGNALS,
    EndingSignals,
    Terminated,
    exit_code,
    signal_of,
    was_ended,
)

SCRIPT = """
import hashlib, multiprocessing, os, signal, sys, threading, time
from robench._base import ending

ending.CHILDREN_SECONDS, ending.FORCE_SECONDS, ending.REPEAT_SECONDS = 0.1, 0.6, 0.2

def say(number):
    print("forced", number, file=sys.stderr, flush=True)

def work():
    {work}

def ready(*more):
    print("ready", *more, flush=True)

if __name__ == "__main__":
    with ending.EndingSignals(say) as signals:
        try:
            work()
        except BaseException as error:
            signals.finish()
            print("ended by", ending.signal_of(error), file=sys.stderr, flush=True)
            {late}
            signals.leave()
    print("finished", file=sys.stderr, flush=True)
    {after}
"""
SLEEP = "ready(); time.sleep(60)"
SWALLOW = """told = []
    def step():
        if not told:
            told.append(True)
            ready()
        time.sleep(0.01)
    def swallow(inner):
        # An exception may come between two steps of a loop, so the loops lie in each other.
        while True:
            try:
                while True:
                    inner()
            except BaseException:
                pass
    swallow(lambda: swallow(lambda: swallow(step)))"""
COMPUTE = "ready(); hashlib.pbkdf2_hmac('sha256', b'a', b'b', 500_000_000)"
CHILDREN = """child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    """ + SWALLOW.replace("ready()", "ready(child.pid)")


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Give this process its own handlers back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


Started = tuple["subprocess.Popen[str]", str]


@pytest.fixture
def start() -> Callable[..., Started]:
    """Start the script, and return the process and its first line when it is at work."""

    def start(
        work: str,
        *,
        late: str = "",
        after: str = "",
        prepare: Callable[[], object] | None = None,
        script: str = SCRIPT,
    ) -> Started:
        text = script.format(work=work, late=late, after=after)
        process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )
        assert process.stdout is not None
        return process, process.stdout.readline()

    return start


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_gives_its_exit_code_and_no_traceback(
    start: Callable[..., Started], number: int
) -> None:
    process, _ = start(SLEEP)
    process.send_signal(number)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert complaints == f"ended by {number}\n"


def test_two_signals_in_a_row_are_one_wish(start: Callable[..., Started]) -> None:
    process, _ = start(SLEEP, late="time.sleep(0.3)")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert complaints == "ended by 2\n"


@pytest.mark.parametrize("work", [SWALLOW, COMPUTE])
def test_code_that_does_not_end_is_ended(start: Callable[..., Started], work: str) -> None:
    process, _ = start(work)
    # The call in C begins a moment after the line that says so.
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 143
    assert complaints == "forced 15\n"


def test_a_later_signal_ends_a_process_that_swallows_the_first(
    start: Callable[..., Started],
) -> None:
    process, _ = start(f"ending.FORCE_SECONDS = 50\n    {SWALLOW}")
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert complaints == "forced 2\n"


def test_child_processes_end_before_a_main_thread_that_does_not(
    start: Callable[..., Started],
) -> None:
    process, line = start(f"ending.FORCE_SECONDS = 50\n    {CHILDREN}")
    child = int(line.split()[1])
    process.send_signal(signal.SIGTERM)
    for _ in range(100):
        if not lives(child):
            break
        time.sleep(0.05)
    assert not lives(child)
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_signal_during_an_import_ends_the_process_at_once(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    """An exception there aborts libraries in C++, so none may come."""
    body = """import time
print("ready", flush=True)
try:
    time.sleep(60)
except BaseException:
    print("an exception came", flush=True)
"""
    (tmp_path / "slow_module.py").write_text(body)
    process, _ = start(f"sys.path.insert(0, {str(tmp_path)!r})\n    import slow_module")
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate(timeout=20)
    assert (process.returncode, said, complaints) == (143, "", "forced 15\n")


def test_what_nohup_ignores_stays_ignored(start: Callable[..., Started]) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process, _ = start("ready(); time.sleep(1)", prepare=ignore)
    process.send_signal(signal.SIGHUP)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 0
    assert complaints == "finished\n"


def test_a_signal_after_the_work_ends_the_process_without_a_traceback(
    start: Callable[..., Started],
) -> None:
    process, _ = start("pass", after="ready(); time.sleep(60)")
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert complaints == "finished\n"


def test_signals_that_end_nothing_change_nothing(start: Callable[..., Started]) -> None:
    process, _ = start(
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n"
        "    ready(); time.sleep(1)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0)"
    )
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 0
    assert complaints == "finished\n"


def test_handlers_of_others_stay() -> None:
    def own(number: int, frame: object) -> None:
        return None

    before = signal.signal(signal.SIGTERM, own)
    try:
        with EndingSignals(lambda _: None):
            assert signal.getsignal(signal.SIGTERM) is own
            assert signal.getsignal(signal.SIGINT) not in (signal.SIG_DFL, own)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_others_handle_ends_nothing(start: Callable[..., Started]) -> None:
    # The handler is there before robench takes the other signals over.
    script = SCRIPT.replace(
        "    with ending",
        "    signal.signal(signal.SIGTERM, lambda *_: print('own', flush=True))\n    with ending",
    )
    assert script != SCRIPT
    process, _ = start("ready(); time.sleep(1.5)", script=script)
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 0
    assert complaints == "finished\n"


def test_other_threads_leave_the_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with EndingSignals(lambda _: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    thread.join()
    assert seen == [before]


def test_no_descriptor_stays_open() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for _ in range(5):
        with EndingSignals(lambda _: None):
            pass
    for _ in range(100):
        if count() <= before:
            break
        time.sleep(0.01)
    assert count() <= before


def test_the_signal_is_found_behind_other_errors() -> None:
    outer = RuntimeError("x")
    outer.__cause__ = Terminated(signal.SIGHUP)
    assert signal_of(outer) == signal.SIGHUP
    assert was_ended(outer)
    assert exit_code(signal.SIGHUP) == 129
    assert signal_of(KeyboardInterrupt()) == signal.SIGINT
    assert not was_ended(KeyboardInterrupt())
