"""What is said where a process ends without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from robench._base import last_words

SCRIPT = """
import ctypes, os, signal
from robench._base.last_words import last_words

with last_words("It $(ended) 'here' %s \\\\n."):
    {inside}
{after}
"""
C_EXIT = "ctypes.CDLL(None)._exit(0)"


def ended(inside: str, after: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(inside=inside, after=after)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("inside", "code"), [(C_EXIT, 0), ("os.kill(os.getpid(), signal.SIGKILL)", -9)]
)
def test_the_sentence_comes_where_the_process_ends_inside(inside: str, code: int) -> None:
    assert ended(inside) == (code, "It $(ended) 'here' %s \\n.\n")


@pytest.mark.parametrize("inside", ["pass", "import json"])
def test_nothing_comes_where_it_ends_afterwards(inside: str) -> None:
    assert ended(inside, after=C_EXIT) == (0, "")


def test_an_error_of_the_block_is_no_end() -> None:
    code, said = ended("raise ValueError('mine')")
    assert code == 1
    assert said.endswith("ValueError: mine\n")
    assert "here" not in said.replace(SCRIPT, "").splitlines()[-1]


def test_a_system_without_a_shell_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with last_words.last_words("never"):
        reached = True
    assert reached


def test_a_shell_that_was_killed_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "SCRIPT", "exit 3")
    with last_words.last_words("never"):
        subprocess.run(["sleep", "0.2"], check=True)
