"""Finished runs: one of the toy task, and a short one whose copies tests may forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import FinishedRun
from forging import ForgedRun, copied, make_run
from toy import TOY_OPTIONS, make_toy_encoder, toy_task

from robench.evaluation.run import Silent, build_request, evaluate


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Values that every request of the toy task shares."""
    folder = tmp_path_factory.mktemp("toy")
    with toy_task(folder) as task:
        yield {
            "tasks": (task,),
            "encoder": make_toy_encoder(folder / "encoder"),
            "options": TOY_OPTIONS,
            "device": "cpu",
        }


@pytest.fixture(scope="module")
def finished(toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """One finished evaluation: one defense, two attacks, all 30 examples."""
    request = build_request(
        defenses=("rift",), attacks=("genetic", "pwws"), out=tmp_path_factory.mktemp("out"), **toy
    )
    return request, evaluate(request, Silent())


@pytest.fixture(scope="module")
def saved(finished: FinishedRun) -> Path:
    """The folder of a victim that another run trained on the toy task."""
    (folder,) = (finished[0].out / "victims").glob("rift-*[0-9a-f]")
    return folder


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One victim under two attacks on 24 texts. It must not be changed."""
    return make_run(tmp_path_factory.mktemp("short") / "run")


@pytest.fixture
def forged(short_run: Path, tmp_path: Path) -> ForgedRun:
    """A copy of the short run, which may be changed."""
    return copied(short_run, tmp_path / "run")
