"""The benchmark of a GPU runs with tiny sizes on a CPU, and ends in one line of JSON."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    step = import_module("training_step")
    monkeypatch.setitem(step.SHAPES, "tiny", (1, 64))
    monkeypatch.setitem(import_module("throughput.subjects").SHAPES, "small", (1, 64))
    # Compiling takes minutes.
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    return import_module("gpu")


def run(benchmark: ModuleType, *arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(benchmark.main, ["--device", "cpu", "--quick", *arguments])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_every_part_gives_its_figures(benchmark: ModuleType) -> None:
    report = run(benchmark)
    assert "missing" not in report
    assert str(report["device"]).startswith("CPU")
    engine = report["engine"]
    assert isinstance(engine, dict)
    assert set(engine["small_8"]) == {"engine", "autocast", "bf16_weights", "engine_over_best"}
    training, dev, surface = report["training"], report["dev"], report["surface"]
    assert isinstance(training, dict)
    assert {"step_seconds", "over_bare", "over_release_like", "operations"} <= set(training)
    assert isinstance(dev, dict)
    assert dev["examples_per_second"] > 0
    assert isinstance(surface, dict)
    assert surface["seconds_of_1000"] > 0
    compiled = report["compile"]
    assert isinstance(compiled, dict)
    assert compiled["plain_seconds"] > 0
    assert compiled["compiled_seconds"] > 0


def test_a_part_that_fails_leaves_the_others(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(plan: object) -> dict[str, object]:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(benchmark, "engine", broken)
    monkeypatch.setattr(benchmark, "dev", lambda plan: {"dev": {"examples": 6}})
    report = run(benchmark, "--part", "engine", "--part", "dev")
    assert report["missing"] == {"engine": "RuntimeError: no kernel image is available"}
    assert report["dev"] == {"examples": 6}


def test_no_part_begins_when_the_time_is_over(benchmark: ModuleType) -> None:
    report = run(benchmark, "--seconds", "0")
    assert report["missing"] == dict.fromkeys(benchmark.PARTS, "no time was left")


def test_without_a_gpu_it_says_what_to_do(benchmark: ModuleType) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = CliRunner().invoke(benchmark.main, [])
    assert result.exit_code == 2
    assert "There is no GPU here. Use --device cpu --quick" in result.output
