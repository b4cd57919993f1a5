"""Kill the commands that work on a finished run with SIGKILL, and run them again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_runs import ENVIRONMENT, QUICK, results

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("disturbed")]

OF_THE_CLOCK = frozenset({"seconds", "created", "checked", "date", "seal", "memory", "cost"})
"""Fields that differ from run to run, and the seals over them."""
SETTINGS = QUICK[QUICK.index("--lm") :]
CERTIFY = (
    *("certify", "--defense", "standard", "--out", "{run}"),
    *(word for word in SETTINGS if word not in ("--workers", "1")),
)
COMMANDS: dict[str, Sequence[str]] = {
    "merge": ("merge", "{shards}", "--out", "{run}", "--quiet"),
    "certify": CERTIFY,
    "transfer": ("transfer", "{run}", "--quiet"),
    "verify": ("verify", "{run}", "--seed", "0", "--sample", "0.2", "--workers", "1", "--quiet"),
}


@dataclass(frozen=True)
class Case:
    """A command and what it starts from.

    Attributes:
        words: the command's words; ``{run}`` and ``{shards}`` stand for the folders.
        run: the folder in which it works; it is copied for each try.
        shards: the shards of ``merge``.
        expected: what it leaves if nobody disturbs it.
        seconds: how long that takes.
    """

    words: Sequence[str]
    run: Path
    shards: Path
    expected: dict[str, Any]
    seconds: float

    def start(self, run: Path) -> subprocess.Popen[str]:
        """Start the command on a folder."""
        return start(*(word.format(run=run, shards=self.shards) for word in self.words))


def start(*words: object) -> subprocess.Popen[str]:
    """Start a command of robench as the leader of a group of processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "robench", *map(str, words)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(run: subprocess.Popen[str]) -> str:
    """Wait for a command; return what it said on stderr, and fail if it did not end well."""
    _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return said


def timeless(data: Any) -> Any:
    """Return data of a file without what the clock decides."""
    if isinstance(data, dict):
        return {key: timeless(value) for key, value in data.items() if key not in OF_THE_CLOCK}
    if isinstance(data, list):
        return [timeless(value) for value in data]
    return data


def left(run: Path) -> dict[str, Any]:
    """Return what a folder holds: trials, letters, and each other file of results.

    Raises:
        ValueError: a file of results is cut off.
    """
    found: dict[str, Any] = {"run": results(run)}
    for path in (*run.glob("certificates/*.json"), *run.glob("transfer.json")):
        found[path.name] = timeless(json.loads(path.read_text()))
    for path in run.glob("certificates/*.jsonl"):
        lines = path.read_bytes().split(b"\n")[:-1]
        found[path.name] = [timeless(json.loads(line)) for line in lines]
    for path in run.glob("records/*-*.json"):
        found[path.name] = json.loads(path.read_text())["outcomes"]
    for path in run.glob("records/verified.json"):
        # A record's hash has its date in it where the command made the record itself.
        entries = json.loads(path.read_text())["records"].values()
        found[path.name] = sorted(json.dumps(timeless(entry)) for entry in entries)
    return found


def finished_work(run: Path) -> set[bytes]:
    """Return what must outlive a kill, as it is on the disk completely, with its times.

    These are the lines of trials and certificates, and the entries of ``verified.json``.
    """
    paths = (*run.glob("certificates/*.jsonl"), *run.glob("trials/*.jsonl"))
    found = {line for path in paths for line in path.read_bytes().split(b"\n")[:-1]}
    return found | entries(run)


def lines_of(folder: Path) -> dict[Path, bytes]:
    """Return every file of lines in a folder, such as the trials of its shards."""
    return {path: path.read_bytes() for path in folder.rglob("*.jsonl")}


def entries(run: Path) -> set[bytes]:
    """Return the records that are stored as verified: hash and name of the file."""
    path = run / "records" / "verified.json"
    if not path.exists():
        return set()
    stored = json.loads(path.read_text())["records"]
    return {f"{sha256} {entry['file']}".encode() for sha256, entry in stored.items()}


@pytest.fixture(scope="module")
def two_victims(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run with a second victim, so that texts can be transferred."""
    out = tmp_path_factory.mktemp("two") / "run"
    shutil.copytree(finished.out, out)
    words = ("evaluate", "--defense", "label-smoothing", "--attack", "pwws", *SETTINGS)
    end(start(*words, "--out", out))
    return out


@pytest.fixture(scope="module")
def shards(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run once more, in two shards."""
    out = tmp_path_factory.mktemp("shards")
    shutil.copytree(finished.out / "victims", out / "victims")
    for number in (1, 2):
        end(start(*QUICK, "--shard", f"{number}/2", "--out", out))
    return out


@pytest.fixture(params=COMMANDS)
def case(
    request: pytest.FixtureRequest, two_victims: Path, shards: Path, tmp_path: Path
) -> tuple[str, Case]:
    """A command, and what it does when nobody disturbs it."""
    name: str = request.param
    run = tmp_path / "empty" if name == "merge" else two_victims
    run.mkdir(exist_ok=True)
    case = Case(COMMANDS[name], run, shards, {}, 0.0)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(run, undisturbed)
    began = time.monotonic()
    end(case.start(undisturbed))
    seconds = time.monotonic() - began
    expected = left(undisturbed)
    assert expected != left(run), "the command leaves nothing, so this test could not fail"
    return name, Case(case.words, run, shards, expected, seconds)


def test_a_killed_command_harms_nothing_and_gives_the_same_when_run_again(
    case: tuple[str, Case],
    tmp_path: Path,
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    name, command = case
    draw, count = random.Random(name), tries(1, 20)
    lost = wrong = crashed = 0
    before, of_shards = left(command.run), lines_of(command.shards)
    assert any(of_shards.values())
    for number in range(count):
        folder = tmp_path / f"try-{number}"
        shutil.copytree(command.run, folder)
        killed = command.start(folder)
        # Most of the first half is spent on loading libraries.
        time.sleep(draw.uniform(0.4, 1.0) * command.seconds)
        running = finished_work(folder)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=60)
        kept, done = left(folder), finished_work(folder)
        lost += len(running - done)
        if name != "merge":
            lost += kept["run"] != before["run"]
        again = command.start(folder)
        _, said = again.communicate(timeout=600)
        crashed += again.returncode != 0 or "Traceback" in said
        lost += len(done - finished_work(folder))
        lost += lines_of(command.shards) != of_shards
        wrong += left(folder) != command.expected
        shutil.rmtree(folder)
    tried(f"kill -9 of robench {name}", count, lost=lost, wrong=wrong, crashed=crashed)
    assert (lost, wrong, crashed) == (0, 0, 0)
