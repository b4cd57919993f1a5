"""The kit over every built-in defense, some joint ones and the example plugin: a new file in ``defenses/`` is under it at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from robench import DEFENSES, TASKS, TrainingOptions
from robench.testing import DEFENSE_CHECKS, DefenseSubject

BUILT_IN = [entry.name for entry in DEFENSES.entries() if entry.origin == "built-in"]
JOINT = ["ascc+mixout", "ascc+weight-decay", "augmentation+mixout", "mixout+rift+rose-ensemble"]
EXAMPLE = "focal-loss"
EVERY = [*BUILT_IN, *JOINT, EXAMPLE]
OF_MEMBERS = {"loss", "gradients", "odd_texts", "families", "shares", "pairs"}
OPTIONS: dict[str, dict[str, Any]] = {
    "rift": {"memory": 6},  # off by default, and to be resumed as well
    "augmentation": {"share": 1.0},
    "augmentation+mixout": {"augmentation.share": 1.0},
    "mixada": {"share": 1.0},
}


@cache
def subject(name: str) -> DefenseSubject:
    """One for all checks: they share its trainings."""
    if name == EXAMPLE:
        sys.path.append(str(Path(__file__).resolve().parents[1] / "plugin_example" / "src"))
        importlib.import_module("robench_example.focal_loss")
    return DefenseSubject.of(name, options=OPTIONS.get(name))


def together(*values: str) -> Any:
    """A case of the defense that stands first, in the process in which it is trained."""
    return pytest.param(*values, marks=pytest.mark.xdist_group(f"defense {values[0]}"))


def cases() -> Iterator[Any]:
    """Every check of every defense; what a joint one cannot lose if its members keep it is asked of these alone."""
    for name in EVERY:
        for check in DEFENSE_CHECKS:
            if name not in JOINT or check not in OF_MEMBERS:
                yield together(name, check)


@pytest.mark.parametrize(("name", "check"), cases())
def test_it_passes(name: str, check: str) -> None:
    DEFENSE_CHECKS[check](subject(name))


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_where_it_departs_from_its_paper(name: str) -> None:
    assert DEFENSES.get(name).deviations


@pytest.mark.parametrize("name", map(together, EVERY))
def test_its_victim_has_its_name(name: str) -> None:
    victim = subject(name).uninterrupted.victim
    assert victim is not None
    assert victim.name == name


@pytest.mark.parametrize("name", map(together, ["augmentation", "augmentation+mixout", "mixada"]))
def test_the_toy_task_leaves_something_to_be_added(name: str) -> None:
    """Else nothing would be known of how added texts survive a kill."""
    assert len(subject(name).uninterrupted.epochs[-1]["added"]) >= 3


@pytest.mark.parametrize("task", TASKS.names())
@pytest.mark.parametrize("name", BUILT_IN)
def test_it_is_trained_with_the_batches_and_epochs_of_the_task(name: str, task: str) -> None:
    """Rows of one table differ by the defense alone, unless its own paper says otherwise."""
    usual, own = TASKS.get(task).training, DEFENSES.get(name).task_defaults.get(task, {})
    assert usual.keys() <= TrainingOptions.model_fields.keys()
    assert not usual.keys() & own.keys()
