"""The training benchmark compares equal work: both steps must have the same loss."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    module = import_module("training_step")
    monkeypatch.setitem(module.SHAPES, "tiny", (1, 64))
    monkeypatch.setattr(module, "VOCABULARY", 100)
    return module


def test_both_steps_have_the_same_loss_and_change_no_weight(benchmark: ModuleType) -> None:
    setting = benchmark.make_setting("tiny", 14, "cpu", "fp32")
    before = [parameter.clone() for parameter in setting.model.parameters()]
    batches = benchmark.make_batches(setting, 6, 2)
    assert batches[0].input_ids.shape[1] < batches[1].input_ids.shape[1] <= 14
    for batch in batches:
        losses = []
        for step in (benchmark.our_step, benchmark.release_like):
            torch.manual_seed(1)
            losses.append(float(step(setting, batch)))
        benchmark.bare_passes(setting, batch)
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert all(
        torch.equal(parameter, start)
        for parameter, start in zip(setting.model.parameters(), before, strict=True)
    )


def test_the_last_line_of_the_output_is_json(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["training_step.py", "--tokens", "12", "--batch", "4", "--batches", "1", "--repeats", "1"],
    )
    benchmark.main()
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(report) == {"over_bare", "over_release_like", "operations", "reads"}
    assert all(value > 0 for value in report.values())


def test_operations_and_readings_are_counted(benchmark: ModuleType) -> None:
    counting = import_module("throughput.counting")
    numbers = torch.arange(4.0)
    with counting.Operations() as counted:
        doubled = (numbers * 2).view(2, 2).T
        float(doubled.sum())
        numbers.nonzero()
    assert counted.started == {"mul": 1, "sum": 1, "_local_scalar_dense": 1, "nonzero": 1}
    assert (counted.number, counted.reads) == (4, 2)


def test_a_different_loss_ends_the_program(benchmark: ModuleType) -> None:
    benchmark.check(1.0, 1.0005, "fp32")
    with pytest.raises(SystemExit, match="the losses differ"):
        benchmark.check(1.0, 1.01, "fp32")
    with pytest.raises(SystemExit, match="the losses differ"):
        benchmark.check(float("nan"), 1.0, "fp32")
