"""Real commands on a real terminal, over a run whose texts try to steer it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import HOSTILE, controls
from trial_runs import EXAMPLES, TEST_SET, write_run

from robench.tasks.example import Example
from robench.tasks.frozen import digest

TEXT = HOSTILE.replace("\ud800", "")
STYLES = re.compile(r"\x1b\[[0-9;]*m")
"""What a console may send by itself: colours and weights."""
COMMANDS = (
    ("examples", "{run}", "--limit", "9"),
    ("examples", "{run}", "--format", "csv"),
    ("examples", "{run}", "--format", "jsonl"),
    ("examples", "{run}", "--format", "html"),
    ("examples", "{run}", "--json"),
    ("compare", "{run}:one", "{run}:two"),
    ("compare", "{run}:one", "{run}:two", "--format", "markdown"),
    ("plot", "curves", "{run}"),
    ("examples", "{run}/" + TEXT.replace("\x00", "")[:90]),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of two rows whose texts, labels and attacks are hostile."""
    folder = tmp_path_factory.mktemp("texts") / "runs"
    examples = [Example(e.id, {"text": f"{e.fields['text']}\n{TEXT}"}, e.label) for e in EXAMPLES]
    tests = replace(
        TEST_SET, digest=digest(examples), examples=examples, labels=(f"n {TEXT}", f"p {TEXT}")
    )
    for row in ("one", "two"):
        label, attack = f"{row}({TEXT[:150]})", f"a {TEXT[:150]}"
        write_run(folder, None, tests, defense=row, label=label, attack_label=attack)
    return folder


def on_a_terminal(arguments: list[str]) -> str:
    """Run robench with all output on a pseudo-terminal, and return what it sent there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen(
        [sys.executable, "-m", "robench", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            sent += piece
    os.close(ours)
    assert process.returncode in (0, 1, 2), sent[-2000:]
    return sent.decode("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=[f"{n}-{c[0]}" for n, c in enumerate(COMMANDS)])
def test_no_text_steers_the_terminal(run: Path, arguments: tuple[str, ...]) -> None:
    sent = on_a_terminal([each.replace("{run}", str(run)) for each in arguments])
    # The terminal itself makes \r\n of each line end.
    own = STYLES.sub("", sent.replace("\r\n", "\n"))
    assert not controls(own), own[-500:]
    assert "Traceback" not in own
    assert len(own) > 50
