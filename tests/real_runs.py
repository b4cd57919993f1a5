"""Real runs of the command line in processes of their own, for tests that disturb them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.search.trials import TrialFile

ROOT = Path(__file__).parents[1]
QUICK = (
    *("evaluate", "--defense", "standard", "--attack", "pwws", "--attack", "greedy"),
    *("--lm", "none", "--limit", "20", "--workers", "1", "--quiet"),
    *("--option", "defense.epochs=2", "--option", "defense.train_examples=64"),
    *("--option", "defense.dev_examples=32"),
)
"""A whole run of some seconds: a training, a surface, and two cells."""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def command(out: Path, words: Sequence[str] = QUICK) -> list[str]:
    """Return the command line of a run into ``out``."""
    return [sys.executable, "-m", "robench", *words, "--out", str(out)]


def start(out: Path, words: Sequence[str] = QUICK) -> subprocess.Popen[str]:
    """Start a run as the leader of a group of processes."""
    return subprocess.Popen(
        command(out, words),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@dataclass(frozen=True)
class Results:
    """What a run left.

    Attributes:
        trials: cell and id -> trial, without its duration.
        outcomes: attack -> letters of its record.
    """

    trials: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)


def results(out: Path) -> Results:
    """Return the trials and the records of a folder."""
    trials: dict[str, Any] = {}
    for path in sorted(out.glob("trials/*.jsonl")):
        for trial in TrialFile(path).read():
            trials[f"{path.stem} {trial.id}"] = trial.model_dump(exclude={"seconds"})
    paths = [path for path in out.glob("records/*.json") if path.name != "verified.json"]
    records = [json.loads(path.read_text()) for path in paths]
    return Results(trials, {each["attack"]["name"]: each["outcomes"] for each in records})


def finished_lines(out: Path) -> set[tuple[str, bytes]]:
    """Return file and line of each trial that is on the disk completely, also of a running run.

    A line holds the seconds of its trial, so a trial that is made again has another line.
    """
    found = set()
    for path in out.glob("trials/*.jsonl"):
        # The first line is the header, and a line without its end is not finished.
        found |= {(path.name, line) for line in path.read_bytes().split(b"\n")[1:-1]}
    return found


def finish(out: Path, timeout: float = 600) -> tuple[int, str, float]:
    """Run to the end; return the exit code, what was said on stderr, and the seconds."""
    began = time.monotonic()
    run = start(out)
    _, said = run.communicate(timeout=timeout)
    return run.returncode, said, time.monotonic() - began
