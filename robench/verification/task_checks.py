"""Compare the test set of a record or certificate with the data of its task."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from robench._base.errors import RobenchError, UsageError
from robench.verification.victims import NotThere

if TYPE_CHECKING:
    from robench.records.record import TaskPart
    from robench.records.test_set import TestSet
    from robench.tasks.base import Splits
    from robench.verification.task_data import TaskData

_LIST: Final = "list-"
"""Begin of the name of a test set that a list chose."""


def task_problems(task: TaskPart, texts: TestSet, data: TaskData, *, trained: bool) -> list[str]:
    """Return how a test set differs from what its task gives here.

    Args:
        task: what a record or certificate says of it.
        texts: the test set in the run's folder; its digest is that of ``task``.
        data: gives the data of the task.
        trained: whether the run trained the victim. If not, it may have judged all rows of a user's
            file, or the test part of it, where it trained another victim as well.

    Raises:
        NotThere: the data or the list are not here, and no difference was found without them.
    """
    found = []
    if task.examples != len(texts.examples):
        found.append(f"{task.examples} examples, and the test set has {len(texts.examples)}")
    splits = _data_of(task, data, split=trained)
    if not trained and data.is_own(task.name) and (splits is None or _differ(task, splits)):
        with suppress(RobenchError):
            parted = _data_of(task, data, split=True)
            if parted is not None and not _differ(task, parted):
                splits = parted
    if splits is None:
        if found:
            return found
        raise NotThere(
            f"the data of task '{task.other_test or task.name}' are not here, so its test set "
            "cannot be compared with them. Give their folder with --data, or a file of your own "
            "data with --task and the options of its run"
        )
    if task.other_test is None and task.test_name.startswith(_LIST):
        return [*found, *_of_list(task, texts, data)]
    own = data.is_own(task.other_test or task.name)
    return [*found, *_differences(task, splits, own=own)]


def _data_of(task: TaskPart, data: TaskData, *, split: bool) -> Splits | None:
    if task.other_test is not None:
        return data.judged_elsewhere(task, split=split)
    return data.splits(task, split=split)


def _differ(task: TaskPart, splits: Splits) -> bool:
    return bool(_differences(task, splits, own=True))


def _differences(task: TaskPart, splits: Splits, *, own: bool) -> list[str]:
    """Return how digest and name differ from those of the test examples of the data.

    Args:
        task: what a record or certificate says of its test set.
        splits: the data of the task.
        own: whether they are a file of the user.
    """
    found, name = [], splits.test_name
    if task.other_test is not None:
        name = f"{task.other_test}:{name}"
    if splits.digest != task.digest:
        found.append(
            "its test examples are not those that --task gives with these options of its columns"
            if own
            else "its test examples are not the frozen ones of the task"
        )
    if name != task.test_name:
        found.append(f"its test set is called '{task.test_name}' and not '{name}'")
    return found


def _of_list(task: TaskPart, texts: TestSet, data: TaskData) -> list[str]:
    """Return how a test set differs from the list of its name, or from the examples of the task.

    Raises:
        NotThere: the list is not here.
    """
    name = task.test_name.removeprefix(_LIST)
    for path in data.lists(name):
        try:
            splits = data.listed(task, path)
        except UsageError:
            # Another file of this name.
            continue
        if splits.digest == task.digest:
            return []
        return [f"its test examples are not those of the list '{name}' in the folder of the data"]
    with TemporaryDirectory(prefix="robench-verify-") as folder:
        own = Path(folder) / "ids.txt"
        own.write_text("".join(f"{each.id}\n" for each in texts.examples), encoding="utf-8")
        try:
            same = data.listed(task, own).digest == task.digest
        except UsageError as error:
            return [f"its test examples are not those of the task: {error}"]
    if not same:
        return ["its test examples have other texts or labels than those of the task"]
    raise NotThere(
        f"its examples are those of the task, but the list '{name}' that chose them is not here. "
        "Put it into the folder of the data, and give that folder with --data."
    )
