"""The registry of defenses.

The registry has a module of its own, which imports no plugin and no torch. The base class is
imported for the types only, so that listing names stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.plugins.registry import Registry

if TYPE_CHECKING:
    from robench.training.defense import Defense

DEFENSES: Registry[Defense] = Registry(
    "defense", "robench.defenses", joining="robench.training.joint:join_defenses"
)
