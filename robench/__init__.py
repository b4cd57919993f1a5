"""Adversarial-robustness benchmark for text classifiers.

robench measures how robust a way of fine-tuning a text classifier is, and how sure that figure is.

Everything for scripts, notebooks and plugins can be imported from here. Each name is imported on
first use, so that ``import robench`` does not import torch.
"""

# The current folder must be out of the way before anything else is imported, even __future__.
import robench._base.import_path  # noqa: F401

# isort: split
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.arithmetic import request_strict_products
from robench._base.lazy import import_public
from robench._base.release import __version__

if TYPE_CHECKING:
    from robench._base.errors import RobenchError, UsageError
    from robench.evaluation.api import evaluate
    from robench.evaluation.attack_api import AttackedText, attack
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier
    from robench.plugins.options import Options, TrainingOptions, build_options
    from robench.plugins.registry import Family, UnknownMember
    from robench.records.comparison import RowComparison, compare
    from robench.records.frames import Results, results
    from robench.search.attack import Attack, FreeAttack, Trial, Verdict
    from robench.search.oracle_interface import BudgetSpent, Oracle, TextOracle
    from robench.search.registry import ATTACK_FAMILIES, ATTACKS
    from robench.sharing.loaded import LoadedVictim, Prediction, load_victim
    from robench.sharing.registration import register_with_transformers
    from robench.tasks.base import DataSource, Splits, Task
    from robench.tasks.example import Example
    from robench.tasks.frozen import digest, make_examples, pick_balanced, without
    from robench.tasks.registry import TASKS
    from robench.text.space import Choice, SearchSpace
    from robench.training.defense import Defense
    from robench.training.registry import DEFENSES

# Before anything can load torch: its matrix library reads the setting once.
request_strict_products()

# In a checkout the folders attacks/ and defenses/ stand beside this one, and the checkout's root
# must be on the path of this package. An installed wheel has both folders inside this one.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "attacks" / "__init__.py").is_file() and (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))

_MODULE_OF = {
    "RobenchError": "robench._base.errors",
    "Results": "robench.records.frames",
    "evaluate": "robench.evaluation.api",
    "attack": "robench.evaluation.attack_api",
    "AttackedText": "robench.evaluation.attack_api",
    "results": "robench.records.frames",
    "UsageError": "robench._base.errors",
    "TextClassifier": "robench.models.classifier",
    "Options": "robench.plugins.options",
    "TrainingOptions": "robench.plugins.options",
    "build_options": "robench.plugins.options",
    "ATTACK_FAMILIES": "robench.search.registry",
    "ATTACKS": "robench.search.registry",
    "DEFENSES": "robench.training.registry",
    "Family": "robench.plugins.registry",
    "TASKS": "robench.tasks.registry",
    "UnknownMember": "robench.plugins.registry",
    "Attack": "robench.search.attack",
    "FreeAttack": "robench.search.attack",
    "Trial": "robench.search.attack",
    "Verdict": "robench.search.attack",
    "BudgetSpent": "robench.search.oracle_interface",
    "Choice": "robench.text.space",
    "Oracle": "robench.search.oracle_interface",
    "SearchSpace": "robench.text.space",
    "TextOracle": "robench.search.oracle_interface",
    "LoadedVictim": "robench.sharing.loaded",
    "Prediction": "robench.sharing.loaded",
    "load_victim": "robench.sharing.loaded",
    "register_with_transformers": "robench.sharing.registration",
    "DataSource": "robench.tasks.base",
    "Example": "robench.tasks.example",
    "Splits": "robench.tasks.base",
    "Task": "robench.tasks.base",
    "digest": "robench.tasks.frozen",
    "make_examples": "robench.tasks.frozen",
    "pick_balanced": "robench.tasks.frozen",
    "without": "robench.tasks.frozen",
    "Batch": "robench.models.batch",
    "RowComparison": "robench.records.comparison",
    "compare": "robench.records.comparison",
    "Defense": "robench.training.defense",
}
"""Public name -> the module that defines it."""

# What runs an evaluation, then what a plugin needs, in the order in which people meet it.
__all__ = [  # noqa: RUF022
    "evaluate", "attack", "AttackedText", "results", "Results", "compare", "RowComparison",
    "load_victim", "LoadedVictim", "Prediction", "register_with_transformers",
    "ATTACKS", "DEFENSES", "TASKS",
    "Attack", "SearchSpace", "Oracle", "Choice", "BudgetSpent", "Verdict", "Trial",
    "FreeAttack", "TextOracle", "ATTACK_FAMILIES", "Family", "UnknownMember",
    "Defense", "Batch", "TextClassifier", "TrainingOptions", "Options", "build_options",
    "Task", "Example", "Splits", "DataSource",
    "make_examples", "pick_balanced", "without", "digest",
    "RobenchError", "UsageError",
    "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    return import_public(__name__, name, _MODULE_OF)


def __dir__() -> list[str]:
    """Return the public names, so that completion finds those that are not imported yet."""
    return sorted(__all__)
