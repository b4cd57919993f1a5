"""Load the data of a task, whose code may be a plugin's."""

from __future__ import annotations

from pathlib import Path

from robench._base.errors import RobenchError, first_line
from robench.tasks.base import DataSource, Splits, Task


def load_splits(
    name: str,
    task: type[Task],
    source: DataSource,
    *,
    train_pool: str | None = None,
    ids: Path | None = None,
) -> Splits:
    """Return what ``Task.load`` returns; an error of the task's code becomes one sentence.

    Args:
        name: the task's name, for messages.
        task: the task's class.
        source: where its data are.
        train_pool: see ``Task.load``.
        ids: see ``Task.load``.

    Raises:
        RobenchError: the data cannot be read, or the task's code fails.
        OSError: the system's error, which says more than a sentence about the task.
        MemoryError: the data need too much memory.
    """
    try:
        splits: object = task().load(source, train_pool=train_pool, ids=ids)
    except (RobenchError, OSError, MemoryError):
        raise
    except Exception as error:
        raise RobenchError(
            f"The code of task '{name}' failed while it read its data "
            f"({type(error).__name__}: {first_line(error)}). Run the same command with --debug for "
            "the traceback."
        ) from error
    if not isinstance(splits, Splits):
        raise RobenchError(
            f"The code of task '{name}' returned {type(splits).__name__} instead of Splits from "
            "its method 'load'."
        )
    return splits
