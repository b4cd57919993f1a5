"""The kits with which a plugin is tried before anyone believes it: ``check_attack`` and ``check_defense``.

``check_attack`` needs Hypothesis: ``pip install 'robench[testing]'``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.testing.attacks import ATTACK_CHECKS, check_attack
    from robench.testing.defense_subject import DefenseSubject
    from robench.testing.defenses import DEFENSE_CHECKS, check_defense
    from robench.testing.subject import Subject

__all__ = [
    "ATTACK_CHECKS",
    "DEFENSE_CHECKS",
    "DefenseSubject",
    "Subject",
    "check_attack",
    "check_defense",
]

_HOMES = {
    "ATTACK_CHECKS": "attacks",
    "check_attack": "attacks",
    "Subject": "subject",
    "DEFENSE_CHECKS": "defenses",
    "check_defense": "defenses",
    "DefenseSubject": "defense_subject",
}


def __getattr__(name: str) -> Any:
    # On first use only: worker processes import the victims of this package and need neither Hypothesis nor torch.
    if name not in __all__:
        raise AttributeError(f"module 'robench.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"robench.testing.{_HOMES[name]}"), name)
