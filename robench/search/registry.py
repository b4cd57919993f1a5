"""The registries of attacks and of families of attacks.

The registry has a module of its own, which imports no plugin and no torch. The base class is
imported for the types only, so that listing names stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.plugins.registry import Family, Registry

if TYPE_CHECKING:
    from robench.search.attack import Attack

ATTACK_FAMILIES: Registry[Family[Attack]] = Registry("attack family", "robench.attacks.families")
ATTACKS: Registry[Attack] = Registry(
    "attack", "robench.attacks", skip=frozenset({"families"}), families=ATTACK_FAMILIES
)
