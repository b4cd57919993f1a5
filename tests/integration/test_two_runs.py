"""Two runs in one folder: one waits for what the other makes, and reuses it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def start(out: Path, *arguments: str, epochs: int = 1) -> subprocess.Popen[str]:
    """Start ``robench evaluate`` on three examples of mini-reviews."""
    words = [sys.executable, "-m", "robench", "evaluate", "--attack", "pwws", "--limit", "3"]
    words += ["--out", str(out), "--workers", "1", "--lm", "none"]
    words += ["--option", f"defense.epochs={epochs}", "--option", "defense.train_examples=64"]
    return subprocess.Popen(
        [*words, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lock(out: Path, process: subprocess.Popen[str]) -> None:
    """Return when a run has begun to train a victim in ``out``."""
    while not list(out.glob("victims/*.lock")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def test_both_runs_succeed_and_one_victim_is_trained(tmp_path: Path) -> None:
    first = start(tmp_path, "--defense", "standard")
    wait_for_lock(tmp_path, first)
    second = start(tmp_path, "--defense", "standard")
    outputs = [run.communicate(timeout=300) for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    (victim,) = (tmp_path / "victims").iterdir()
    assert len(list((tmp_path / "trials").glob("*.jsonl"))) == 1
    table = [re.sub(r"\s+", " ", out) for out, _ in outputs]
    assert table[0] == table[1]
    assert victim.name in outputs[1][1]
    assert not list(tmp_path.rglob("*.lock"))


def test_a_run_goes_on_when_the_one_it_waits_for_is_killed(tmp_path: Path) -> None:
    first = start(tmp_path, "--defense", "standard", epochs=50)
    wait_for_lock(tmp_path, first)
    second = start(tmp_path, "--defense", "standard", "--wait", "0", epochs=50)
    _, stderr = second.communicate(timeout=300)
    assert second.returncode == 1
    assert "Another run is training the victim" in stderr
    third = start(tmp_path, "--defense", "standard", epochs=50)
    assert third.stderr is not None
    lines = iter(third.stderr.readline, "")
    assert any("This run waits for it." in line for line in lines)
    first.kill()
    first.communicate()
    assert any("the wait took" in line for line in lines)
    # Its training has begun, which is enough; fifty epochs are not.
    third.kill()
    third.communicate()


def test_a_run_takes_the_cells_that_no_other_run_works_on_first(tmp_path: Path) -> None:
    done = start(tmp_path, "--defense", "standard")
    _, complaints = done.communicate(timeout=300)
    assert done.returncode == 0, complaints
    (trials,) = (tmp_path / "trials").iterdir()
    # The other run works on the first cell, until it is told to end.
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(trials)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    run = start(tmp_path, "--defense", "standard", "--attack", "greedy", "--attack", "genetic")
    assert run.stderr is not None
    said = []
    for line in iter(run.stderr.readline, ""):
        said.append(line)
        if "This run waits for it." in line:
            holder.kill()
    run.communicate(timeout=300)
    holder.communicate()
    assert run.returncode == 0, said
    assert len(list((tmp_path / "records").iterdir())) == 3
    waits = next(place for place, line in enumerate(said) if "This run waits" in line)
    attacked = [place for place, line in enumerate(said) if "attacking" in line]
    assert len(attacked) == 2
    assert max(attacked) < waits


HOLDER = """
import sys
from robench._base.files import lock
with open(sys.argv[1], "r+b") as file:
    assert lock(file.fileno())
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_runs_with_victims_in_different_order_do_not_block_each_other(tmp_path: Path) -> None:
    first = start(tmp_path, "--defense", "standard", "--defense", "weight-decay")
    second = start(tmp_path, "--defense", "weight-decay", "--defense", "standard")
    outputs = [run.communicate(timeout=300) for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert len(list((tmp_path / "victims").iterdir())) == 2
