"""The comparison with ``torch.compile``: both ways are used, and other gradients are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from robench.models.frozen_encoder import _Layer

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ARGUMENTS = ["--tokens", "12", "--batch", "4", "--repeats", "2"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setitem(import_module("training_step").SHAPES, "tiny", (2, 64))
    return import_module("compiled_pass")


def compiled_as(change: Callable[[Tensor], Tensor], calls: list[int]) -> Any:
    """Return a ``torch.compile`` whose functions note their calls and change their answers."""

    def compile_(function: Callable[..., Tensor], dynamic: bool) -> Callable[..., Tensor]:
        assert dynamic

        def fast(*arguments: Any) -> Tensor:
            calls.append(1)
            return change(function(*arguments))

        return fast

    return compile_


def test_both_ways_are_measured(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = _Layer.__call__
    monkeypatch.setattr(torch, "compile", compiled_as(lambda states: states, calls))
    result = CliRunner().invoke(benchmark.main, ARGUMENTS)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output.splitlines()[-1])
    assert found["shape"] == "tiny"
    assert found["plain_seconds"] > 0
    assert found["compiled_seconds"] > 0
    assert found["compiled_over_plain"] == pytest.approx(
        found["plain_seconds"] / found["compiled_seconds"], rel=0.2
    )
    # Four batches, to compile and in two repetitions. The last layer reads the first token only.
    assert len(calls) == 4 * 3
    assert _Layer.__call__ is plain


def test_other_gradients_are_no_measurement(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _Layer.__call__
    monkeypatch.setattr(torch, "compile", compiled_as(lambda states: states.flip(-1), []))
    with pytest.raises(RuntimeError, match="the compiled pass gives other gradients"):
        benchmark.compare("tiny", "cpu", 12, 4, 2, 1)
    assert _Layer.__call__ is plain


def test_a_gain_says_how_many_passes_pay(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([4.0, 2.0, 4.0, 2.0])
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    monkeypatch.setattr(benchmark, "seconds", lambda *arguments: next(times))
    found = benchmark.compare("tiny", "cpu", 12, 4, 2, 2)
    assert found["compiled_over_plain"] == 2.0
    assert found["plain_seconds"] == 2.0
    # A pass saves a second.
    assert abs(found["passes_that_pay"] - found["compiling_seconds"]) <= 1
