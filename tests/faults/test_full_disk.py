"""Let the disk of a run fill up at random moments, then make room and continue."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_runs import ENVIRONMENT, Results, command, results

SPACE = ["unshare", "--user", "--map-root-user", "--mount"]
"""Runs a command that may mount, without rights outside."""


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    try_it = [*SPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(try_it, capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("disturbed"),
    pytest.mark.skipif(not _can_mount(), reason="this process may not mount a small disk"),
]


@pytest.fixture
def undisturbed(finished: Any) -> tuple[Results, int]:
    """The results of a run that nobody disturbed, and the kilobytes that it needs."""
    files = [path for path in finished.out.rglob("*") if path.is_file()]
    return finished.results, sum(path.stat().st_size for path in files) // 1024


def fill_and_continue(place: Path, kilobytes: int) -> tuple[int, str, int, str]:
    """Run on a disk of that size, and again with room; keep the folder in ``place/kept``.

    Returns:
        Exit code and messages of the first run and of the second.
    """
    disk, kept = place / "disk", place / "kept"
    disk.mkdir()
    run = shlex.join(command(disk / "runs"))
    script = f"""
        mount -t tmpfs -o size={kilobytes}k tmpfs {disk}
        {run} > /dev/null 2> {place}/first; echo $? >> {place}/codes
        mount -o remount,size=1g {disk}
        {run} > /dev/null 2> {place}/second; echo $? >> {place}/codes
        cp -r {disk}/runs {kept}
    """
    subprocess.run([*SPACE, "sh", "-c", script], env=ENVIRONMENT, check=True, timeout=900)
    first, second = map(int, (place / "codes").read_text().split())
    return first, (place / "first").read_text(), second, (place / "second").read_text()


def test_a_run_on_a_full_disk_continues_when_there_is_room(
    tmp_path: Path,
    undisturbed: tuple[Results, int],
    tries: Callable[[int, int], int],
    tried: Callable[..., None],
) -> None:
    expected, needed = undisturbed
    draw = random.Random(0)
    count = tries(2, 20)
    filled = wrong = crashed = 0
    for number in range(count):
        place = tmp_path / str(number)
        place.mkdir()
        # A training needs several times the room of what it leaves. The first disk is too small
        # for what the run leaves, so at least one is filled.
        share = draw.uniform(0.05, 1.5) if number else 0.5
        first, said, second, complaints = fill_and_continue(place, round(share * needed))
        short = first != 0
        # A disk with room enough was no try, but its run must end well too.
        filled += short
        crashed += second != 0 or "Traceback" in said + complaints
        crashed += short and not ("full" in said or "space" in said)
        wrong += results(place / "kept") != expected
        shutil.rmtree(place)
    tried("a disk that fills up at a random moment", filled, wrong=wrong, crashed=crashed)
    assert (wrong, crashed) == (0, 0)
    assert filled > 0
