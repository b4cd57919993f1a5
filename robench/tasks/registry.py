"""The registry of tasks.

The registry has a module of its own, which imports no plugin and no torch. The base class is
imported for the types only, so that listing names stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.plugins.registry import Registry

if TYPE_CHECKING:
    from robench.tasks.base import Task

TASKS: Registry[Task] = Registry(
    "task",
    "robench.tasks",
    skip=frozenset(
        {
            "advglue_files",
            "archive_bounds",
            "archive_copies",
            "archives",
            "assets",
            "balanced",
            "base",
            "checks",
            "columns",
            "example",
            "frozen",
            "guard",
            "hub",
            "loading",
            "nli_files",
            "own",
            "publisher_files",
            "registry",
            "resolving",
            "splits",
        }
    ),
)
