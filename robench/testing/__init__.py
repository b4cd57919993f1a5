"""The kit with which an attack is tried before anyone believes it: ``check_attack``. Needs ``pip install 'robench[testing]'``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.testing.attacks import ATTACK_CHECKS, check_attack
    from robench.testing.subject import Subject

__all__ = ["ATTACK_CHECKS", "Subject", "check_attack"]


def __getattr__(name: str) -> Any:
    # On first use only: worker processes import the victims of this package and need no Hypothesis.
    if name not in __all__:
        raise AttributeError(f"module 'robench.testing' has no attribute {name!r}")
    return getattr(importlib.import_module("robench.testing.subject" if name == "Subject" else "robench.testing.attacks"), name)
