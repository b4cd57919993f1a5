"""Measure memory after few and after many examples, and compare verdicts in bf16 and fp32.

    python -m throughput.steady VICTIM WORDS EXAMPLES FEW

This is a process of its own, so that it holds nothing but the engine, its victim and its texts.
Texts are made when the engine needs them, as in an evaluation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from robench.models.victim import Victim
from robench.search.attack import Trial
from robench.search.engine import run
from robench.search.settings import SearchSettings
from throughput.searches import build_attack
from throughput.subjects import load_victim, make_jobs, write_line


def steady(folder: Path, words: int, examples: int, few: int) -> dict[str, Any]:
    """Run the process; see ``main`` for the result."""
    paths = [str(Path(__file__).parents[1]), *(path for path in sys.path if path)]
    command = [
        sys.executable,
        "-m",
        "throughput.steady",
        str(folder),
        str(words),
        str(examples),
        str(few),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


def resident_megabytes() -> float:
    """Return the resident memory of this process."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 2**20


def main(folder: Path, words: int, examples: int, few: int) -> dict[str, Any]:
    """Return megabytes after ``few`` and after all trials, and compare verdicts."""
    torch.set_num_threads(1)
    victim = load_victim(folder)
    exact, megabytes = [], {}
    for trial in _trials(victim, words, examples, "fp32"):
        exact.append(trial)
        if len(exact) in (few, examples):
            megabytes[len(exact)] = resident_megabytes()
    reduced = list(_trials(victim, words, examples, "bf16"))
    verdicts = {trial.id: trial.verdict for trial in exact}
    fooled = [sum(trial.verdict == "fooled" for trial in trials) for trials in (exact, reduced)]
    return {
        "examples": examples,
        "few": few,
        "rss_mb_after_few": megabytes[few],
        "rss_mb_after_all": megabytes[examples],
        "fooled_in_fp32": fooled[0],
        "fooled_in_bf16": fooled[1],
        "verdicts_that_differ": sum(verdicts[trial.id] != trial.verdict for trial in reduced),
    }


def _trials(victim: Victim, words: int, examples: int, precision: Any) -> Iterator[Trial]:
    return run(
        victim,
        build_attack("pwws"),
        "pwws",
        make_jobs(victim, words, examples, seed=1),
        SearchSettings(precision=precision),
    )


if __name__ == "__main__":
    write_line(sys.stdout, main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
