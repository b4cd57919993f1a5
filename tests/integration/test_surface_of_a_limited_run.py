"""A limited run and a whole one share their trials, so they must share the space of each example, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robench.evaluation.resolve import balanced_prefix
from robench.protocol import get_protocol
from robench.tasks.base import DataSource
from robench.tasks.example import Example
from robench.tasks.registry import TASKS
from robench.text.language_model import build_scorer
from robench.text.scorer import Scorer
from robench.text.substitutions import load_substitutions
from robench.text.surface_building import SurfaceRequest, load_or_build


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    scorer = build_scorer("tiny")
    assert scorer is not None
    return scorer


def rows(folder: Path, examples: list[Example], scorer: Scorer, task: str) -> Any:
    """The stored rows, in the file's order."""
    cls = TASKS.get(task)
    request = SurfaceRequest(
        examples,
        cls.attackable,
        task,
        "d",
        load_substitutions(cls.substitutions),
        get_protocol("rift2021"),
        scorer,
        cls.max_tokens,
    )
    load_or_build(folder, request)
    return pd.read_parquet(request.path(folder)).astype({"id": str, "word": str})


def test_rows_are_the_same_whatever_else_is_in_the_run(tmp_path: Path, scorer: Scorer) -> None:
    test = TASKS.get("mini-reviews")().load(DataSource()).test
    few, many = balanced_prefix(test, 5), balanced_prefix(test, 50)
    small, large = (rows(tmp_path, examples, scorer, "mini-reviews") for examples in (few, many))
    shared = large[large.id.isin({example.id for example in few})].reset_index(drop=True)
    assert small.log_ratio.notna().sum() > 50
    pd.testing.assert_frame_equal(small, shared, check_exact=True)


def test_without_rounding_they_are_the_same_as_well(
    tmp_path: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding alone would not do: a value beside a rounding step falls to either side."""
    monkeypatch.setattr("robench.text.surface_building._DECIMALS", 12)
    test_rows_are_the_same_whatever_else_is_in_the_run(tmp_path, scorer)
