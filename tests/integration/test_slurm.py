"""The script that ``robench slurm`` writes, run by hand as SLURM would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from evaluation_cases import trials_of, without_measurements

from robench.records.record_files import read_records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    *("--defense", "standard", "--attack", "pwws", "--limit", "6", "--lm", "none"),
    *("--option", "defense.epochs=1", "--option", "defense.train_examples=64"),
    *("--workers", "1"),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with programs ``robench`` and ``sbatch``; the latter writes down its call."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "robench": f'exec "{sys.executable}" -m robench "$@"',
        "sbatch": 'echo "$ROBENCH_STAGE: $*" >> "$CALLS"; echo "$((70 + $(wc -l < "$CALLS")));c"',
    }.items():
        path = programs / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    return tmp_path


def call(place: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        words,
        cwd=place,
        env={**os.environ, **own, "CALLS": str(place / "calls"), **variables},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_the_tasks_of_the_script_are_the_run_of_one_process(place: Path) -> None:
    written = call(
        place, "robench", "slurm", "--shards", "2", "--file", "job.sh", "--",
        "evaluate", *OPTIONS, "--out", "a b",
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    assert written.stdout == "Written: job.sh. Submit it on the cluster with: bash job.sh\n"
    submitted = call(place, "bash", "job.sh")
    assert submitted.returncode == 0, submitted.stderr
    assert submitted.stdout.split() == [
        *("Training:", "job", "71"),
        *("Attacks:", "job", "72"),
        *("Merge:", "job", "73"),
    ]
    calls = (place / "calls").read_text().splitlines()
    assert calls[0].startswith("train: --parsable --job-name=robench-train --array=1-1 ")
    last = "--kill-on-invalid-dep=yes --dependency=afterok:"
    assert f"--array=1-2 {last}71 job.sh" in calls[1]
    assert f"{last}72 --gres=none" in calls[2]
    stages = [("train", "1"), ("attack", "1"), ("merge", ""), ("attack", "2"), ("merge", "")]
    codes = []
    for stage, number in stages:
        done = call(place, "bash", "job.sh", ROBENCH_STAGE=stage, SLURM_ARRAY_TASK_ID=number)
        codes.append(done.returncode)
        if codes == [0, 0, 1]:
            assert "shards that are missing or not finished: 2/2" in done.stderr
            assert not (place / "a b" / "records").exists()
    assert codes == [0, 0, 1, 0, 0], done.stderr
    assert "Markdown:" in done.stdout
    alone = call(place, "robench", "evaluate", *OPTIONS, "--out", "alone")
    assert alone.returncode == 0, alone.stderr
    assert trials_of(place / "a b") == trials_of(place / "alone")
    (one,), (other,) = (
        read_records(place / name / "records").values() for name in ("a b", "alone")
    )
    assert without_measurements(one) == without_measurements(other)
