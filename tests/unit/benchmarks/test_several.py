"""A simulated device that several search processes share."""

from __future__ import annotations

import json
import threading
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

# The embedded tokenizer is loaded, and processes are started.
pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    return import_module("throughput.several")


def test_the_thread_whose_clock_is_behind_goes_first(several: ModuleType) -> None:
    turns, order = several.Turns(3), list[tuple[float, int]]()

    def go(me: int, times: list[float]) -> None:
        for now in times:
            turns.wait(me, now)
            order.append((now, me))
            time.sleep(0.001)
        turns.leave(me)

    plan = {0: [0.0, 5.0, 6.0], 1: [0.0, 1.0, 9.0], 2: [0.0, 2.0, 7.0]}
    threads = [threading.Thread(target=go, args=each) for each in plan.items()]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [now for now, _ in order] == sorted(now for times in plan.values() for now in times)
    assert len(order) == 9


def test_more_search_processes_leave_the_device_less_idle(
    several: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the clock takes 5 ms, so the searches are slow on every machine."""
    looks = threading.local()

    def look() -> float:
        looks.number = getattr(looks, "number", 0) + 1
        return 0.005 * float(looks.number)

    monkeypatch.setattr(import_module("throughput.simulated"), "thread_time", look)
    one, two = (several.computed(20_000, 20, "pwws", number, 3000) for number in (1, 2))
    assert one.rows == two.rows > 500
    assert (two.processes, two.how) == (2, "computed")
    assert 0 <= two.idle < one.idle < 1
    assert two.idle <= two.lost


def test_a_failed_search_is_no_measurement(
    several: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(several.SimulatedVictim, "answers", broken)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    with pytest.raises(RuntimeError, match="a search failed"):
        several.computed(1000, 12, "pwws", 2, 200)


def test_a_device_that_waits_by_the_clock(several: ModuleType, tmp_path: Path) -> None:
    place = several.Place(tmp_path, 1000, 1)
    np.zeros(4).tofile(place.counts)
    victim = several.load_timed(place, "simulated")
    place.wait()
    ids = np.full((100, 4), 1000, dtype=np.int32)
    began, pending = time.monotonic(), victim.submit(ids, np.full(100, 4, dtype=np.int32))
    early = pending.ready()
    answers = pending.result()
    assert time.monotonic() - began >= 0.1
    assert pending.ready()
    assert not early
    assert np.array_equal(answers, victim.answers(ids, np.full(100, 4)))
    busy, asked, end, worked = np.fromfile(place.counts).tolist()
    assert (busy, asked) == (pytest.approx(0.1), 1)
    assert end >= began + 0.1
    assert worked >= 0


def test_the_benchmark_prints_a_table_and_a_line_of_json(several: ModuleType) -> None:
    main = import_module("attack_throughput").main
    seen: list[tuple[int, str, int]] = []

    def run(how: str) -> Any:
        def made(rate: int, words: int, attack: str, processes: int, rows: int | None) -> Any:
            seen.append((rate, how, processes))
            cost = (30.0, 2.0) if how == "measured" else ()
            return several.SharedIdleness(
                rate, words, attack, processes, how, 99, 1 / processes, 0.9, *cost
            )

        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several, "computed", run("computed"))
        patch.setattr(several, "measured", run("measured"))
        patch.setattr(several, "available_cores", lambda: 2)
        words = ["--simulated", "--quick", "--attack", "pwws"]
        words += ["--processes", "2", "--processes", "4"]
        result = CliRunner().invoke(main, words)
        refused = CliRunner().invoke(main, ["--processes", "2"])
    assert result.exit_code == 0, result.output
    assert {how for _, how, processes in seen if processes == 2} == {"computed", "measured"}
    # There are not cores enough to measure four.
    assert {how for _, how, processes in seen if processes == 4} == {"computed"}
    lines = result.output.strip().splitlines()
    figures = json.loads(lines[-1])
    assert figures["simulated_idle_computed"]["pwws"]["150000"] == {"2": 0.5, "4": 0.25}
    assert figures["simulated_idle_measured"]["pwws"]["150000"] == {"2": 0.5}
    assert refused.exit_code == 2
    assert "--processes needs --simulated" in refused.output


@pytest.mark.many
def test_real_processes_are_measured(several: ModuleType) -> None:
    found = several.measured(20_000, 20, "pwws", 2, 1500)
    assert found.rows > 300
    assert 0 <= found.idle <= found.lost < 1
    assert found.search is not None
    assert found.device is not None
    assert found.search > 1
    assert found.device > 0
