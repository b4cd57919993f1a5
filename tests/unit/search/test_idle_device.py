"""A device gets work early: before a forward pass is full, and before the rows run out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, linear_jobs, load_linear
from queue_cases import FakeDevice, on_device

from robench import ATTACKS
from robench.search.batching import Pool
from robench.search.engine import FEW, Engine
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes

WIDE = Shapes(tokens=4096, most=64, floor=4, fixed=True)
NARROW = Shapes(tokens=64, most=4, floor=4, fixed=True)


class Started:
    """Notes how many examples had started at each forward pass."""

    def __init__(self, victim: FakeVictim, shapes: Shapes, number: int, **engine: Any) -> None:
        attack = ATTACKS.get("pwws")
        self.jobs = linear_jobs(number)
        self.at_pass: list[int] = []
        self.wide: list[bool] = []
        self.taken = 0
        self.engine = Engine(
            victim, attack(attack.Options()), "pwws", SearchSettings(), shapes=shapes, **engine
        )

    def note(self, ids: np.ndarray) -> None:
        self.at_pass.append(self.engine._started)
        self.wide.append(len(ids) > 4)

    def batches(self) -> Iterator[Sequence[Job]]:
        for job in self.jobs:
            self.taken += 1
            yield [job]

    def run(self) -> int:
        return len(list(self.engine.trials(self.batches())))


def on_noting_device(victim: FakeVictim, *args: Any, **engine: Any) -> tuple[FakeDevice, Started]:
    device = on_device(victim, lambda number: True)
    started = Started(victim, *args, **engine)
    device.refuse = started.note
    return device, started


def test_a_device_without_work_gets_rows_before_a_forward_pass_is_full() -> None:
    _, started = on_noting_device(load_linear(), WIDE, 60)
    assert started.run() == 60
    # 64 rows fill a forward pass of a search, and the first query of each is one row.
    first = started.at_pass[started.wide.index(True)]
    assert first <= 2 * FEW


def test_a_victim_that_answers_at_once_gets_full_forward_passes_as_before() -> None:
    victim = load_linear()
    started = Started(victim, WIDE, 60)
    logits = victim.logits

    def noting(*rows: Any, **named: Any) -> Any:
        started.note(rows[0])
        return logits(*rows, **named)

    victim.logits = noting  # type: ignore[method-assign]
    assert started.run() == 60
    assert started.at_pass[started.wide.index(True)] == 60


def test_examples_start_while_a_device_is_busy() -> None:
    device, started = on_noting_device(load_linear(), NARROW, 200)
    device.is_ready = lambda number: False
    busy: list[int] = []
    start = started.engine._start

    def noting(job: Job) -> Any:
        busy.append(len(device.flying))
        return start(job)

    started.engine._start = noting  # type: ignore[method-assign]
    assert started.run() == 200
    assert busy.count(device.depth) > 50


def test_the_start_ahead_is_bounded() -> None:
    device, started = on_noting_device(load_linear(), NARROW, 200)
    device.is_ready = lambda number: False
    most = 0

    def noting(ids: np.ndarray) -> None:
        nonlocal most
        most = max(most, len(started.engine._running))

    device.refuse = noting
    started.run()
    assert most < 150


def test_a_bound_on_running_examples_holds_while_a_device_is_busy() -> None:
    device, started = on_noting_device(load_linear(), NARROW, 60, max_running=5)
    device.is_ready = lambda number: False
    seen: list[int] = []
    device.refuse = lambda ids: seen.append(len(started.engine._running))
    assert started.run() == 60
    assert max(seen) <= 5


@pytest.mark.parametrize("rows", [0, 3, 8, 10])
def test_a_pool_says_how_many_forward_passes_wait(rows: int) -> None:
    from robench.search.batching import RowRequest

    victim = load_linear()
    pool = Pool(victim, Shapes(tokens=64, most=4, floor=4, fixed=True))
    job = linear_jobs(1)[0]
    candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
    if rows:
        ids, lengths = candidates.encode(np.zeros((rows, len(job.space.words)), dtype=np.int16))
        pool.put(RowRequest(None, rows), candidates, ids, lengths)
    assert pool.waiting == rows / 4
