"""Measure what the start of worker processes costs a run of many short cells.

The same run with ``--workers 2``, with the fork server and with a new Python for each process, and
with one process as the floor. The contestants take turns. Run it as ``python benchmarks/starts.py``
on Linux; it takes about six minutes on two idle cores.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import click

ROOT: Final = Path(__file__).parents[1]
ATTACKS: Final = ("pwws", "greedy", "random", "hard-label", "textfooler", "beam")
"""Attacks that need a second or less for some 20 texts of the embedded task."""
WAYS: Final = {
    "one process": (1, "1"),
    "fork server": (2, "1"),
    "new processes": (2, "0"),
}
"""Name -> number of workers, and the value of ``ROBENCH_FORK_SERVER``."""
_SUBREAPER: Final = 36
"""``PR_SET_CHILD_SUBREAPER`` of Linux."""


def arguments(out: Path, limit: int) -> list[str]:
    """Return the command without its attacks and workers: one quick victim and few texts."""
    options = ["defense.epochs=1", "defense.train_examples=64"]
    words = ["evaluate", "--defense", "standard", "--lm", "none", "--limit", str(limit)]
    words += [word for option in options for word in ("--option", option)]
    return [*words, "--out", str(out)]


def run(words: Sequence[str], server: str) -> tuple[float, float]:
    """Return the seconds and the CPU-seconds of a command and all of its processes."""
    environment = {**os.environ, "ROBENCH_FORK_SERVER": server, "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "robench", *words],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(f"'robench {' '.join(words)}' failed:\n{done.stderr}")
    seconds = perf_counter() - started
    collect_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def adopt_orphans() -> None:
    """Become the parent of processes whose parent ends, so that their CPU-seconds count."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)


def collect_orphans() -> None:
    """Wait for the end of all child processes, also those of the command: its fork server.

    A process that has started others for itself would wait for these, too.
    """
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def compare(folder: Path, repetitions: int, limit: int) -> dict[str, dict[str, float]]:
    """Return the medians of each way: seconds and CPU-seconds.

    Args:
        folder: an empty folder.
        repetitions: runs of each way.
        limit: texts in each cell.
    """
    base = folder / "base"
    run([*arguments(base, limit), "--attack", "none"], "1")
    attacks = [word for name in ATTACKS for word in ("--attack", name)]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(repetitions):
        for name, (workers, server) in WAYS.items():
            out = folder / f"{number}-{workers}-{server}"
            shutil.copytree(base, out)
            words = [*arguments(out, limit), *attacks, "--workers", str(workers)]
            found[name].append(run(words, server))
            click.echo(f"{name}: {found[name][-1][0]:.1f} s, {found[name][-1][1]:.1f} CPU-s")
    return {
        name: {
            "seconds": round(median(each[0] for each in runs), 2),
            "cpu_seconds": round(median(each[1] for each in runs), 2),
        }
        for name, runs in found.items()
    }


@click.command()
@click.option("--repetitions", default=3, show_default=True, help="Runs of each way.")
@click.option("--limit", default=20, show_default=True, help="Texts in each cell.")
def main(repetitions: int, limit: int) -> None:
    """Measure the start of worker processes."""
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), repetitions, limit)
    ratio = found["new processes"]["seconds"] / found["fork server"]["seconds"]
    click.echo(f"{len(ATTACKS)} cells; new processes / fork server: {ratio:.2f} times the seconds")
    click.echo(json.dumps({"starts": found, "new_over_forked": round(ratio, 3)}))


if __name__ == "__main__":
    main()
