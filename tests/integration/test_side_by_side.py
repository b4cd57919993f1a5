"""Victims that are trained side by side are those that are trained one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robench._base.bounded_reading import read_json

TWO = (
    *("--defense", "standard", "--defense", "label-smoothing"),
    *("--option", "defense.train_examples=32", "--option", "defense.dev_examples=16"),
)


def start(out: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "robench", "train", *TWO, *arguments, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def train(out: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(out, *arguments)
    printed, said = process.communicate(timeout=600)
    return process.returncode, printed, said


def hashes(out: Path) -> dict[str, str]:
    return {
        card.parent.name: str(read_json(card)["sha256"])
        for card in sorted((out / "victims").glob("*/victim.json"))
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the victims of four epochs, trained one after another."""
    out = tmp_path_factory.mktemp("alone")
    code, _, said = train(out, "--option", "defense.epochs=4")
    assert code == 0, said
    return out


@pytest.mark.slow
def test_two_processes_train_the_same_victims(alone: Path, tmp_path: Path) -> None:
    code, printed, said = train(tmp_path, "--option", "defense.epochs=4", "--parallel-victims", "2")
    assert code == 0, said
    assert len(printed.splitlines()) == 2
    assert "2 victims, 2 side by side" in said
    assert "label-smoothing on mini-reviews, seed 0: epoch 4: loss" in said
    assert hashes(tmp_path) == hashes(alone)
    assert len(hashes(alone)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_and_goes_on(
    alone: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ("--option", "defense.epochs=4", "--parallel-victims", "2")
    process = start(tmp_path, *arguments)
    until(lambda: list(tmp_path.glob("victims/*.training/resume.pt")))
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    process.communicate(timeout=60)
    until(lambda: not group_lives(process.pid))
    assert not hashes(tmp_path)
    code, _, said = train(tmp_path, *arguments)
    assert code == 0, said
    assert "resuming after epoch" in said
    assert hashes(tmp_path) == hashes(alone)


@pytest.mark.slow
def test_a_training_that_fails_leaves_the_other_one(tmp_path: Path) -> None:
    code, printed, said = train(
        tmp_path,
        *("--option", "defense.epochs=2", "--option", "label-smoothing.learning_rate=1e15"),
        *("--parallel-victims", "2"),
    )
    assert code == 1
    assert list(hashes(tmp_path)) == [Path(printed.strip()).name]
    assert "label-smoothing on mini-reviews, seed 0: failed." in said
    assert "diverged in epoch 2, step 1" in said
    assert "Traceback" not in said


def until(condition: object, seconds: float = 300.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends, "it takes too long"
        time.sleep(0.02)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
