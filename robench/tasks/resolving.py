"""Find a task by what the user typed: a registered name, a file, or a dataset of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.tasks.columns import HUB_PREFIX, DataColumns
from robench.tasks.own.sources import split_hub_name
from robench.tasks.registry import TASKS

if TYPE_CHECKING:
    from robench.tasks.base import Task

ALL = "all"
"""Stands for several names: see ``expand_tasks``."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def is_own_data(name: str) -> bool:
    """Return whether ``name`` means a file or a hub dataset, and not a registered task."""
    return name.startswith(HUB_PREFIX) or name.lower().endswith(SUFFIXES)


def task_name(name: str) -> str:
    """Return the task's name in tables: ``"reviews.csv"`` for ``"data/reviews.csv"``.

    A registered name is its own name. Characters that file names cannot have become ``_``.
    """
    if not is_own_data(name):
        return name
    last = (
        name.replace("/", "-").replace(":", "-") if name.startswith(HUB_PREFIX) else Path(name).name
    )
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in last)


def names_own_data(task: str) -> bool:
    """Return whether ``task_name`` gave this name to a file or hub dataset, as records hold it."""
    return is_own_data(task) or is_of_hub(task)


def is_of_hub(task: str) -> bool:
    """Return whether ``task_name`` gave this name to a hub dataset."""
    return task.startswith(HUB_PREFIX.replace(":", "-"))


def all_tasks() -> list[str]:
    """Return what ``--task all`` means: the registered tasks that have training examples."""
    return [name for name in TASKS.names() if TASKS.get(name).train_pools]


def expand_tasks(names: Sequence[str]) -> list[str]:
    """Return ``names`` without duplicates; ``all`` means the tasks with training examples."""
    expanded: list[str] = []
    for name in names:
        expanded += all_tasks() if name == ALL else [name]
    return list(dict.fromkeys(expanded))


def check_tasks(names: Sequence[str], columns: DataColumns | None = None) -> None:
    """Check names of tasks, and the options about files, without reading data or plugins.

    Raises:
        UsageError: a task does not exist, or an option does not fit the tasks.
    """
    own = [name for name in names if is_own_data(name)]
    for name in names:
        if name in own:
            _check_own(name)
        else:
            _check_registered(name)
    _check_apart(own, columns)
    if columns is not None and columns.given and not own:
        raise UsageError(
            f"{', '.join(columns.given)}: this is about --task FILE, and "
            f"{' and '.join(names)} is no file. Leave it out, or name a file."
        )


def _check_own(name: str) -> None:
    if name.startswith(HUB_PREFIX):
        split_hub_name(name)
    elif not Path(name).exists() or Path(name).is_dir():
        raise UsageError(
            f"{name}: there is no such file in {Path.cwd()}. "
            "Name a csv, tsv, jsonl or parquet file."
        )


def _check_registered(name: str) -> None:
    path = Path(name)
    if name not in TASKS.names() and path.suffix and path.is_file():
        raise UsageError(
            f"--task {name}: a file must be called .csv, .tsv, .jsonl or .parquet, by what it "
            "holds. Save a spreadsheet as csv, and unpack a packed file."
        )
    TASKS.check(name)


def _check_apart(own: Sequence[str], columns: DataColumns | None) -> None:
    """Refuse files of one name, and files beside which another file has no clear use."""
    by_name: dict[str, str] = {}
    for name in own:
        other = by_name.setdefault(task_name(name), name)
        if other != name:
            raise UsageError(
                f"--task {other} and --task {name} would have the same name in tables. "
                "Rename one of them."
            )
    if columns is not None and len(own) > 1 and (columns.train_file or columns.test_file):
        raise UsageError(
            "--train-file and --test-file belong to one task, and there are several: "
            f"{', '.join(own)}. Run them one by one."
        )


def find_task(
    name: str, columns: DataColumns | None = None, *, training: bool = True, hub: bool = True
) -> type[Task]:
    """Return the class of a task.

    Args:
        name: a registered name, a file (``"reviews.csv"``, also tsv, jsonl and parquet), or
            ``"hf:NAME"`` or ``"hf:NAME/CONFIG"`` for a dataset of the hub. The class of a file is
            made here, from the file's content.
        columns: what the user says about the file; not used for a registered name.
        training: whether a victim is trained. Otherwise a single file is the test set.
        hub: whether the hub may be used.

    Raises:
        UsageError: there is no such task or file, or the file cannot be used as it is.
    """
    if not is_own_data(name):
        return TASKS.get(name)
    from robench.tasks.own.task import make_task

    return make_task(task_name(name), name, columns or DataColumns(), training=training, hub=hub)
