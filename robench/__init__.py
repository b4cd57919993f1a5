"""robench: how robust is this way of fine-tuning a text classifier, and how sure are we?

What a plugin author needs is importable from here. Names are looked up on first use, so that ``import robench`` stays free of torch.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.plugins.options import Options, TrainingOptions
    from robench.plugins.registry import (
        ATTACK_FAMILIES,
        ATTACKS,
        DEFENSES,
        TASKS,
        Family,
        UnknownMember,
    )
    from robench.search.attack import Attack, FreeAttack, Trial, Verdict
    from robench.search.space import BudgetSpent, Choice, Oracle, SearchSpace, TextOracle
    from robench.tasks.base import DataSource, Example, Splits, Task
    from robench.training.defense import Batch, Defense

try:
    __version__ = version("robench")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

# In a checkout the wings attacks/ and defenses/ stand beside this folder; an installed wheel has them inside it.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "attacks" / "__init__.py").is_file() and (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))

_HOMES = {
    "Options": "robench.plugins.options",
    "TrainingOptions": "robench.plugins.options",
    "ATTACK_FAMILIES": "robench.plugins.registry",
    "ATTACKS": "robench.plugins.registry",
    "Family": "robench.plugins.registry",
    "UnknownMember": "robench.plugins.registry",
    "DEFENSES": "robench.plugins.registry",
    "TASKS": "robench.plugins.registry",
    "Attack": "robench.search.attack",
    "FreeAttack": "robench.search.attack",
    "Trial": "robench.search.attack",
    "Verdict": "robench.search.attack",
    "BudgetSpent": "robench.search.space",
    "Choice": "robench.search.space",
    "Oracle": "robench.search.space",
    "SearchSpace": "robench.search.space",
    "TextOracle": "robench.search.space",
    "DataSource": "robench.tasks.base",
    "Example": "robench.tasks.base",
    "Splits": "robench.tasks.base",
    "Task": "robench.tasks.base",
    "Batch": "robench.training.defense",
    "Defense": "robench.training.defense",
}

__all__ = [  # noqa: RUF022 - the order of use
    "ATTACKS", "DEFENSES", "TASKS",
    "Attack", "SearchSpace", "Oracle", "Choice", "BudgetSpent", "Verdict", "Trial",
    "FreeAttack", "TextOracle", "ATTACK_FAMILIES", "Family", "UnknownMember",
    "Defense", "Batch", "TrainingOptions", "Options",
    "Task", "Example", "Splits", "DataSource",
    "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'robench' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
