"""Kill a whole run with SIGKILL at random moments, and continue it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from real_runs import Results, finish, finished_lines, results, start

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill-at-random")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, float]:
    """The results of a run that nobody disturbed, and its seconds."""
    out = tmp_path_factory.mktemp("undisturbed")
    code, said, seconds = finish(out)
    assert code == 0, said
    found = results(out)
    assert (len(found.trials), len(found.outcomes)) == (40, 2)
    return found, seconds


def test_a_killed_run_continues_to_the_same_results(
    tmp_path: Path,
    undisturbed: tuple[Results, float],
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    expected, seconds = undisturbed
    draw = random.Random(0)
    count = tries(2, 20)
    lost = wrong = crashed = 0
    for number in range(count):
        out = tmp_path / f"run-{number}"
        run = start(out)
        time.sleep(draw.uniform(0.2, 1.0) * seconds)
        before = finished_lines(out)
        # The whole group, as a machine that goes off would end it.
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
        lost += len(before - finished_lines(out))
        kept = results(out).trials
        wrong += sum(kept[key] != expected.trials.get(key) for key in kept)
        code, said, _ = finish(out)
        crashed += code != 0 or "Traceback" in said
        # A trial that was made again has the same content, but its work was lost.
        lost += len(before - finished_lines(out))
        wrong += results(out) != expected
        shutil.rmtree(out)
    tried(
        "kill -9 of the whole run at a random moment",
        count,
        lost=lost,
        wrong=wrong,
        crashed=crashed,
    )
    assert (lost, wrong, crashed) == (0, 0, 0)


def test_several_kills_in_a_row(
    tmp_path: Path,
    undisturbed: tuple[Results, float],
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    expected, seconds = undisturbed
    draw = random.Random(1)
    count, known, lost = tries(3, 20), set[tuple[str, bytes]](), 0
    for _ in range(count):
        run = start(tmp_path)
        time.sleep(draw.uniform(0.3, 0.9) * seconds)
        known |= finished_lines(tmp_path)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
        lost += len(known - finished_lines(tmp_path))
    code, said, _ = finish(tmp_path)
    lost += len(known - finished_lines(tmp_path))
    crashed = int(code != 0 or "Traceback" in said)
    wrong = int(results(tmp_path) != expected)
    tried(
        "kill -9 of the main process, again and again",
        count,
        lost=lost,
        wrong=wrong,
        crashed=crashed,
    )
    assert (lost, wrong, crashed) == (0, 0, 0)
