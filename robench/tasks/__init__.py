"""Tasks: where examples come from, and which 1000 of them are judged. One file holds one task.

Everything that a task of another package needs can be imported from here. Each name is imported on
first use, so that listing tasks stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._base.lazy import import_public

if TYPE_CHECKING:
    from robench.tasks.base import DataSource, Splits, Task
    from robench.tasks.checks import check_splits
    from robench.tasks.columns import DataColumns
    from robench.tasks.example import Example
    from robench.tasks.frozen import (
        TEST_SIZE,
        RawRow,
        clean,
        content_key,
        digest,
        identify,
        make_examples,
        pick_balanced,
        without,
    )
    from robench.tasks.guard import Guard
    from robench.tasks.hub import HubUnavailable, read_rows
    from robench.tasks.own.tables import Table, read_table
    from robench.tasks.publisher_files import (
        FileLayout,
        FoundFiles,
        describe_missing,
        find_files,
    )
    from robench.tasks.registry import TASKS
    from robench.tasks.resolving import find_task
    from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

_MODULE_OF = {
    "TASKS": "robench.tasks.registry",
    "Task": "robench.tasks.base",
    "Splits": "robench.tasks.base",
    "DataSource": "robench.tasks.base",
    "Example": "robench.tasks.example",
    "RawRow": "robench.tasks.frozen",
    "TEST_SIZE": "robench.tasks.frozen",
    "make_examples": "robench.tasks.frozen",
    "identify": "robench.tasks.frozen",
    "clean": "robench.tasks.frozen",
    "content_key": "robench.tasks.frozen",
    "pick_balanced": "robench.tasks.frozen",
    "without": "robench.tasks.frozen",
    "digest": "robench.tasks.frozen",
    "make_splits": "robench.tasks.splits",
    "pick_listed": "robench.tasks.splits",
    "choose_train_pool": "robench.tasks.splits",
    "Guard": "robench.tasks.guard",
    "check_splits": "robench.tasks.checks",
    "read_rows": "robench.tasks.hub",
    "HubUnavailable": "robench.tasks.hub",
    "read_table": "robench.tasks.own.tables",
    "Table": "robench.tasks.own.tables",
    "FileLayout": "robench.tasks.publisher_files",
    "FoundFiles": "robench.tasks.publisher_files",
    "find_files": "robench.tasks.publisher_files",
    "describe_missing": "robench.tasks.publisher_files",
    "find_task": "robench.tasks.resolving",
    "DataColumns": "robench.tasks.columns",
}
"""Public name -> the module that defines it."""

# In the order in which the author of a task meets them, not in alphabetical order.
__all__ = [  # noqa: RUF022
    "TASKS", "Task", "Splits", "DataSource", "Example", "RawRow", "TEST_SIZE",
    "make_examples", "identify", "clean", "content_key", "pick_balanced", "without", "digest",
    "make_splits", "pick_listed", "choose_train_pool", "Guard", "check_splits",
    "read_rows", "HubUnavailable", "read_table", "Table",
    "FileLayout", "FoundFiles", "find_files", "describe_missing",
    "find_task", "DataColumns",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    return import_public(__name__, name, _MODULE_OF)


def __dir__() -> list[str]:
    """Return the public names, so that completion finds those that are not imported yet."""
    return sorted(__all__)
