"""Kill a whole run with SIGKILL at random moments, and continue it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_runs import Results, finish, finished_lines, results, start

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("disturbed")]


@pytest.fixture
def undisturbed(finished: Any) -> tuple[Results, float]:
    """The results of a run that nobody disturbed, and its seconds."""
    return finished.results, finished.seconds


@dataclass
class Damage:
    """What kills did to the runs of one test.

    Attributes:
        expected: the results of a run that nobody disturbed.
        seconds: how long that run took.
        draw: chooses the moments.
        lost: finished lines that were not there any more.
        wrong: results that differ from ``expected``.
        crashed: continued runs that did not end well.
    """

    expected: Results
    seconds: float
    draw: random.Random
    lost: int = 0
    wrong: int = 0
    crashed: int = 0

    def kill(
        self, out: Path, moments: tuple[float, float], end: Callable[[int, int], None]
    ) -> set[tuple[str, bytes]]:
        """Start a run and end it at a random share of its time; return the finished lines."""
        run = start(out)
        time.sleep(self.draw.uniform(*moments) * self.seconds)
        before = finished_lines(out)
        end(run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
        return before

    def finish(self, out: Path, before: set[tuple[str, bytes]]) -> None:
        """Continue a run to its end, and compare what it leaves."""
        code, said, _ = finish(out)
        self.crashed += code != 0 or "Traceback" in said
        # A trial that was made again has the same content, but its work was lost.
        self.lost += len(before - finished_lines(out))
        self.wrong += results(out) != self.expected

    def judge(self, tried: Callable[..., None], what: str, count: int) -> None:
        """Tell how many tries there were, and fail where one did harm."""
        tried(what, count, lost=self.lost, wrong=self.wrong, crashed=self.crashed)
        assert (self.lost, self.wrong, self.crashed) == (0, 0, 0)


def test_a_killed_run_continues_to_the_same_results(
    tmp_path: Path,
    undisturbed: tuple[Results, float],
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    damage = Damage(*undisturbed, random.Random(0))
    count = tries(2, 20)
    for number in range(count):
        out = tmp_path / f"run-{number}"
        # The whole group, as a machine that goes off would end it.
        before = damage.kill(out, (0.2, 1.0), os.killpg)
        damage.lost += len(before - finished_lines(out))
        kept = results(out).trials
        damage.wrong += sum(kept[key] != damage.expected.trials.get(key) for key in kept)
        damage.finish(out, before)
        shutil.rmtree(out)
    damage.judge(tried, "kill -9 of the whole run at a random moment", count)


def test_several_kills_in_a_row(
    tmp_path: Path,
    undisturbed: tuple[Results, float],
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    damage = Damage(*undisturbed, random.Random(1))
    count, known = tries(3, 20), set[tuple[str, bytes]]()
    for _ in range(count):
        # What an earlier kill left must still be there after the later ones.
        known |= damage.kill(tmp_path, (0.3, 0.9), os.kill)
        damage.lost += len(known - finished_lines(tmp_path))
    damage.finish(tmp_path, known)
    damage.judge(tried, "kill -9 of the main process, again and again", count)
