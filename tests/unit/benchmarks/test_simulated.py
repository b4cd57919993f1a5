"""The simulated device: its arithmetic, its answers, and what it measures of the real engine."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from time import thread_time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

# The embedded tokenizer and torch are loaded in earnest.
pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("throughput.simulated")


class StoppedClock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        return self.moment

    def wait_until(self, moment: float) -> None:
        self.moment = max(self.moment, moment)


def burn(seconds: float) -> None:
    end = thread_time() + seconds
    while thread_time() < end:
        pass


def test_forward_passes_run_one_after_the_other(simulated: ModuleType) -> None:
    clock = StoppedClock()
    device = simulated.Device(100)
    assert device.run(50, clock.now()) == 0.5
    assert device.run(100, clock.now()) == 1.5
    assert device.run(10, 4.0) == 4.1
    assert (device.busy, device.rows, device.forwards) == (pytest.approx(1.6), 160, 3)


def test_an_answer_is_ready_when_its_time_is_over_and_waiting_goes_there(
    simulated: ModuleType,
) -> None:
    clock = StoppedClock()
    device, answers = simulated.Device(100), np.zeros((1, 2), dtype=np.float32)
    pending = simulated.Pending(clock, device.run(50, 0.0), answers)
    assert not pending.ready()
    assert pending.result() is answers
    assert clock.moment == 0.5
    assert pending.ready()
    clock.moment = 2.0
    pending.result()
    assert clock.moment == 2.0


def test_the_clock_counts_work_and_waiting_but_not_what_is_left_out(simulated: ModuleType) -> None:
    clock = simulated.Clock()
    now, worked = clock.now(), clock.worked()
    burn(0.02)
    assert clock.now() - now == pytest.approx(clock.worked() - worked, abs=0.005)
    assert clock.now() - now >= 0.02
    clock.wait_until(now + 5)
    assert clock.now() - now == pytest.approx(5, abs=0.005)
    assert clock.worked() - worked < 1
    clock.wait_until(now)
    assert clock.now() - now == pytest.approx(5, abs=0.005)
    clock.leave_out(0.5)
    assert clock.now() - now == pytest.approx(4.5, abs=0.005)


@pytest.fixture
def victim(simulated: ModuleType) -> Any:
    return simulated.SimulatedVictim(1000)


def test_a_row_has_the_same_answer_beside_any_rows(victim: Any) -> None:
    ids = np.random.default_rng(0).integers(1000, 9000, (6, 12)).astype(np.int32)
    lengths = np.array([12, 12, 9, 12, 12, 12], dtype=np.int32)
    ids[2, 9:] = victim.table.pad_id
    answers = victim.logits(ids, lengths)
    assert answers.shape == (6, 2)
    assert answers.dtype == np.float32
    for row in range(6):
        alone = victim.logits(ids[row : row + 1, : lengths[row]], lengths[row : row + 1])
        assert np.allclose(alone, answers[row], rtol=1e-5)


def test_copies_that_fill_a_forward_pass_up_are_no_rows(victim: Any) -> None:
    ids = np.array([[5, 6], [7, 8], [9, 9], [5, 6], [5, 6]], dtype=np.int32)
    victim.logits(ids, np.full(5, 2, dtype=np.int32))
    assert victim.asked == 3
    assert victim.machine.rows == 5
    victim.logits(ids[:1].repeat(4, axis=0), np.full(4, 2, dtype=np.int32))
    assert victim.asked == 4


def test_making_an_answer_up_takes_no_time(victim: Any) -> None:
    ids = np.full((4000, 300), 1000, dtype=np.int32)
    worked, began = victim.clock.worked(), thread_time()
    victim.submit(ids, np.full(4000, 300, dtype=np.int32))
    assert victim.clock.worked() - worked < (thread_time() - began) / 2


def test_the_labels_are_the_victims_own_predictions(victim: Any) -> None:
    fields = [{"text": "a good film"}, {"text": "the worst of all films that were made"}]
    rows = [victim.read(each) for each in fields]
    answers = [victim.logits(row.ids[None], np.array([len(row.ids)])) for row in rows]
    assert victim.predict(fields).tolist() == [int(each.argmax()) for each in answers]


@pytest.mark.parametrize("attack", ["pwws", "genetic"])
def test_it_measures_the_real_engine(simulated: ModuleType, attack: str) -> None:
    slow, fast = (simulated.measure_idleness(rate, 20, attack, 1500) for rate in (500, 10**7))
    for found in (slow, fast):
        assert 0 <= found.idle <= found.lost < 1
        assert found.rows > 200
        assert found.microseconds > 1
    # The same searches, so the same rows; only a device that is too fast has to wait.
    assert slow.rows == fast.rows
    assert slow.idle < 0.3
    assert fast.idle > 0.9


def test_a_failed_trial_is_no_measurement(
    simulated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(simulated.SimulatedVictim, "submit", broken)
    with pytest.raises(RuntimeError, match="a trial failed: "):
        simulated.measure_idleness(1000, 12, "pwws", 200)


def test_the_benchmark_prints_every_device_and_ends_in_json(simulated: ModuleType) -> None:
    main = import_module("attack_throughput").main
    result = CliRunner().invoke(main, ["--simulated", "--quick", "--attack", "pwws"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    rates = {str(rate) for rate in simulated.RATES}
    for name in ("simulated_idle", "simulated_lost", "simulated_microseconds_a_row"):
        assert set(figures[name]) == {"pwws"}
        assert set(figures[name]["pwws"]) == rates
    for rate, goal in simulated.RATES.items():
        (line,) = (line for line in result.stdout.splitlines() if f" {rate:,} " in line)
        assert f"{goal.idle:.0%}" in line
