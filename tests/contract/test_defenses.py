"""Every check of ``robench.testing`` on every built-in defense, some joint ones and the example.

A new file in ``defenses/`` is checked without any other edit.
"""

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
JOINT = [
    "ascc+mixout",
    "ascc+weight-decay",
    "augmentation+mixout",
    "augmentation+ranmask",
    "mixout+rift+rose-ensemble",
]
EXAMPLE = "focal-loss"
EVERY = [*BUILT_IN, *JOINT, EXAMPLE]
OF_MEMBERS = {"loss", "gradients", "odd_texts", "families", "shares", "pairs"}
OPTIONS: dict[str, dict[str, Any]] = {
    # The memory is off by default. It must be resumed as well.
    "rift": {"memory": 6},
    "augmentation": {"share": 1.0},
    "augmentation+mixout": {"augmentation.share": 1.0},
    "mixada": {"share": 1.0},
}


@cache
def subject(name: str) -> DefenseSubject:
    """Return the subject of a defense, one for all checks, which share its trainings."""
    if name == EXAMPLE:
        sys.path.append(str(Path(__file__).resolve().parents[1] / "plugin_example" / "src"))
        importlib.import_module("robench_example.focal_loss")
    return DefenseSubject.of(name, options=OPTIONS.get(name))


def in_one_process(*values: str) -> Any:
    """Make a test case that runs in the process in which the first-named defense is trained."""
    return pytest.param(*values, marks=pytest.mark.xdist_group(f"defense {values[0]}"))


def cases() -> Iterator[Any]:
    """Yield every check of every defense.

    A joint defense keeps some promises if its members do. These are checked on the members alone.
    """
    for name in EVERY:
        for check in DEFENSE_CHECKS:
            if name not in JOINT or check not in OF_MEMBERS:
                yield in_one_process(name, check)


@pytest.mark.parametrize(("name", "check"), cases())
def test_a_defense_passes_every_check(name: str, check: str) -> None:
    DEFENSE_CHECKS[check](subject(name))


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_defense_says_where_it_departs_from_its_paper(name: str) -> None:
    assert DEFENSES.get(name).deviations


@pytest.mark.parametrize("name", map(in_one_process, EVERY))
def test_the_victim_has_the_name_of_the_defense(name: str) -> None:
    victim = subject(name).uninterrupted.victim
    assert victim is not None
    assert victim.name == name


@pytest.mark.parametrize(
    "name", map(in_one_process, ["augmentation", "augmentation+mixout", "mixada"])
)
def test_the_toy_task_leaves_texts_to_be_added(name: str) -> None:
    """Otherwise no check would test how added texts survive a kill."""
    assert len(subject(name).uninterrupted.epochs[-1]["added"]) >= 3


@pytest.mark.parametrize("task", TASKS.names())
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_defense_is_trained_with_the_batches_and_epochs_of_the_task(name: str, task: str) -> None:
    """Rows of one table differ by the defense alone, unless its own paper says otherwise."""
    usual, own = TASKS.get(task).training, DEFENSES.get(name).task_defaults.get(task, {})
    assert usual.keys() <= TrainingOptions.model_fields.keys()
    assert not usual.keys() & own.keys()
