from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from robench._base import environment
from robench._base.environment import (
    available_memory,
    choose_device,
    describe_device,
    peak_memory,
    reset_peak_memory,
    versions,
)
from robench._base.errors import UsageError


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("gpu", "There is no device"),
        ("cuda:99", "is not there"),
        ("", "There is no device"),
        ("meta", "There is no device"),
    ],
)
def test_an_unavailable_device_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        choose_device(spec)


def test_the_description_of_a_processor_has_its_number_of_cores() -> None:
    assert "cores)" in describe_device("cpu")


def test_versions_include_the_packages_that_can_change_a_result() -> None:
    found = versions()
    assert found["torch"] == torch.__version__
    assert {"python", "transformers", "numpy"} <= set(found)


def test_peak_memory_is_measured_in_bytes() -> None:
    reset_peak_memory("cpu")
    memory, reason = peak_memory("cpu")
    assert reason == ""
    assert memory is not None
    assert 10 * 2**20 < memory < 2**40


def test_the_peak_of_a_child_process_counts_only_on_request() -> None:
    subprocess.run(
        [sys.executable, "-c", f"b'x' * {2**20 * 64 + (peak_memory('cpu')[0] or 0)}"], check=True
    )
    with_children, alone = peak_memory("cpu")[0], peak_memory("cpu", children=False)[0]
    assert with_children is not None
    assert alone is not None
    assert with_children > alone + 2**20 * 32


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "5000\n", "memory.current": "2000\n"}, 3000),
        ({"memory.max": "5000\n", "memory.current": "6000\n"}, 0),
        ({"memory/memory.limit_in_bytes": "900", "memory/memory.usage_in_bytes": "400"}, 500),
        ({"memory.max": "max\n", "memory.current": "2000\n"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_container_bounds_the_available_memory(
    files: dict[str, str], left: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(environment, "CGROUPS", tmp_path)
    free = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert available_memory() == (free.available if left is None else left)
