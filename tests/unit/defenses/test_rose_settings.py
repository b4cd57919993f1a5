"""The forms of ROSE take the release's settings where the release has the task."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import pytest

from robench.models.encoders import find_encoder
from robench.training.registry import DEFENSES
from robench.training.request import build_defense

# The column "upper" of the release's scripts, in per cent: RoBERTa-base on QNLI, QQP, RTE and
# SST-2, then RoBERTa-large on the same.
RELEASED = {
    "rose-first": (70, 70, 80, 60, 50, 70, 80, 70),
    "rose-second": (40, 60, 60, 30, 50, 60, 50, 50),
    "rose-ensemble": (90, 75, 80, 40, 30, 80, 85, 70),
}
SST2_BASE = 3


def upper_on(task: str, defense: str, options: Mapping[str, float] | None = None) -> float:
    built = build_defense(defense, task, find_encoder("tiny"), options or {})
    return float(built.options.model_dump()["upper"])


@pytest.mark.parametrize("defense", RELEASED)
def test_sst2_has_the_quantile_of_the_base_encoder(defense: str) -> None:
    assert upper_on("sst2", defense) == RELEASED[defense][SST2_BASE] / 100


@pytest.mark.parametrize("task", ["imdb", "snli", "mini-reviews"])
@pytest.mark.parametrize("defense", RELEASED)
def test_other_tasks_have_the_median_of_all_settings(defense: str, task: str) -> None:
    assert upper_on(task, defense) == statistics.median(RELEASED[defense]) / 100


def test_an_option_overrides_the_published_setting() -> None:
    assert upper_on("sst2", "rose-second", {"upper": 0.5}) == 0.5


def test_a_joint_defense_takes_the_setting_of_its_part() -> None:
    joint = DEFENSES.get("rift+rose-first")
    assert joint.task_defaults["sst2"] == {"rose-first.upper": 0.6}
