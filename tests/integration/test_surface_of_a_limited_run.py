"""A run with ``--limit`` and a full run have the same search space for each example, bit for bit.

They share their trials, so their spaces must not differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robench.protocol import get_protocol
from robench.tasks.balanced import balanced_prefix
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
    """Build a surface and return its rows, in the file's order."""
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


def test_rows_do_not_depend_on_the_other_examples_of_the_run(
    tmp_path: Path, scorer: Scorer
) -> None:
    test = TASKS.get("mini-reviews")().load(DataSource()).test
    few, many = balanced_prefix(test, 5), balanced_prefix(test, 50)
    small, large = (rows(tmp_path, examples, scorer, "mini-reviews") for examples in (few, many))
    shared = large[large.id.isin({example.id for example in few})].reset_index(drop=True)
    assert small.log_ratio.notna().sum() > 50
    pd.testing.assert_frame_equal(small, shared, check_exact=True)


def test_rows_are_the_same_without_rounding_too(
    tmp_path: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding alone is not enough: a value next to a rounding step may fall to either side."""
    monkeypatch.setattr("robench.text.surface_building._DECIMALS", 12)
    test_rows_do_not_depend_on_the_other_examples_of_the_run(tmp_path, scorer)
