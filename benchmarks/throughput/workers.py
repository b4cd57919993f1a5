"""Compare two workers with one, by the clock.

The start of a worker (a process, torch, the victim; seconds in each run) is not counted: workers
load, warm up and wait for each other, and the clock starts when the last one is ready. The clock
stops with the last trial, so the end of the run, where a worker may be idle, is counted. The start
is reported as ``worker_start_seconds``.

Bare forwards in one and in two processes are measured as well: two processors that share a core,
caches or the bus to memory do less than twice the work of one, whatever they run. The comparison
needs two idle cores.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep, time

import numpy as np
import torch

from robench.models.victim import Victim
from robench.search.jobs import Job
from robench.search.shapes import Bucket, Shapes
from robench.search.workers import WorkerPlan, run_workers
from throughput.subjects import load_victim


@dataclass(frozen=True)
class Shift:
    """One run: ``start_seconds`` until the last worker is ready, and ``seconds`` from then on."""

    rows: int
    seconds: float
    start_seconds: float

    @property
    def rate(self) -> float:
        """Rows per second, by the clock."""
        return self.rows / self.seconds


def load_at_gate(gate: Path, workers: int, folder: Path, device: str) -> Victim:
    """Load the victim, then wait until all other workers have done the same."""
    victim = load_victim(folder, device)
    (gate / str(os.getpid())).touch()
    while len(list(gate.iterdir())) < workers:
        sleep(0.002)
    return victim


def shift(folder: Path, attack: str, jobs: Sequence[Job], workers: int) -> Shift:
    """Attack all texts with ``workers`` workers."""
    with tempfile.TemporaryDirectory() as gate:
        began = time()
        plan = WorkerPlan(folder, attack, load=partial(load_at_gate, Path(gate), workers))
        rows = sum(trial.forwarded for trial in run_workers(plan, jobs, workers))
        ended = time()
        opened = max(path.stat().st_mtime for path in Path(gate).iterdir())
    return Shift(rows, ended - opened, opened - began)


def bare_rate(folder: Path, words: int, processes: int, seconds: float) -> float:
    """Return the rows per second, by the clock, of full forwards over made-up texts.

    They run in ``processes`` processes of one thread each.
    """
    with tempfile.TemporaryDirectory() as gate, get_context("spawn").Pool(processes) as pool:
        asked = [(folder, Path(gate), processes, words, seconds)] * processes
        return sum(pool.starmap(_bare, asked, chunksize=1))


def _bare(folder: Path, gate: Path, processes: int, words: int, seconds: float) -> float:
    torch.set_num_threads(1)
    victim = load_at_gate(gate, processes, folder, "cpu")
    rows, length = Shapes.of(victim).rows(Bucket(words + 2)), words + 2
    ids = np.random.default_rng(0).integers(1000, 9000, (rows, length))
    lengths = np.full(rows, length)
    done, began = 0, monotonic()
    while (spent := monotonic() - began) < seconds:
        victim.logits(ids, lengths)
        done += rows
    return done / spent
