"""Settings of the process that are set back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robench._base.process_state import ProcessState


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = ProcessState()
    yield
    before.restore()


CHANGES: dict[str, Callable[[Path], Any]] = {
    "the working folder": lambda folder: os.chdir(folder),
    "Python's recursion limit": lambda _: sys.setrecursionlimit(4321),
    "NumPy's handling of errors": lambda _: np.seterr(divide="raise"),
    "torch's default dtype": lambda _: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda _: torch.set_default_device("meta"),
    "torch's number of threads": lambda _: torch.set_num_threads(3),
    "torch's gradient mode": lambda _: torch.set_grad_enabled(False),
    "torch's deterministic algorithms": lambda _: torch.use_deterministic_algorithms(
        not torch.are_deterministic_algorithms_enabled()
    ),
    "torch's precision of float32 products": lambda _: torch.set_float32_matmul_precision("medium"),
    "torch's autocast": lambda _: torch.set_autocast_enabled("cpu", True),
    "cuDNN's deterministic mode": lambda _: setattr(
        torch.backends.cudnn, "deterministic", not torch.backends.cudnn.deterministic
    ),
    "cuDNN's benchmark mode": lambda _: setattr(
        torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_set_back_and_named(name: str, tmp_path: Path) -> None:
    before = ProcessState()
    CHANGES[name](tmp_path)
    changed = before.restore()
    # CUDA's switch follows the precision of float32 products.
    assert changed[0] == name
    assert ProcessState().restore() == before.restore() == []


def test_nothing_is_said_where_nothing_changed() -> None:
    assert ProcessState().restore() == []


def test_the_usual_values_count_where_torch_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        before = ProcessState()
    torch.set_default_dtype(torch.float64)
    assert before.restore() == ["torch's default dtype"]
    assert torch.get_default_dtype() == torch.float32


def test_a_removed_folder_does_no_harm(tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    os.chdir(place)
    place.rmdir()
    assert ProcessState().restore() == []
