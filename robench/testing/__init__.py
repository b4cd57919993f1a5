"""Public kits that check a plugin before its results are believed.

These are ``check_attack`` and ``check_defense``.

``check_attack`` needs Hypothesis: ``pip install 'robench[testing]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._base.lazy import import_public

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

_MODULE_OF = {
    "ATTACK_CHECKS": "robench.testing.attacks",
    "check_attack": "robench.testing.attacks",
    "Subject": "robench.testing.subject",
    "DEFENSE_CHECKS": "robench.testing.defenses",
    "check_defense": "robench.testing.defenses",
    "DefenseSubject": "robench.testing.defense_subject",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562).

    Worker processes import the victims of this package. They need neither Hypothesis nor torch.
    """
    return import_public(__name__, name, _MODULE_OF)
