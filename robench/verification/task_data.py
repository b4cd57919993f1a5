"""The data of the tasks of records: registered tasks, and the user's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError, UsageError
from robench._base.reporting import Silent
from robench.evaluation.test_sets import with_labels_of, without_known_texts
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.columns import HUB_PREFIX
from robench.tasks.loading import load_splits
from robench.tasks.registry import TASKS
from robench.tasks.resolving import check_tasks, find_task, is_own_data, task_name
from robench.verification.settings import VerificationSettings

if TYPE_CHECKING:
    from robench.records.record import TaskPart


def check_own_tasks(settings: VerificationSettings) -> None:
    """Check ``--task`` and the options about files, before anything is read.

    Raises:
        UsageError: a name is no file, or an option does not fit.
    """
    for name in settings.tasks:
        if name.startswith(HUB_PREFIX) or not is_own_data(name):
            raise UsageError(
                f"--task {name}: 'robench verify' finds registered tasks by itself and reads no "
                "hub. Name a file of your own data (csv, tsv, jsonl or parquet), or leave it out."
            )
    if settings.tasks:
        check_tasks(settings.tasks, settings.columns)
    elif settings.columns.given:
        raise UsageError(
            f"{', '.join(settings.columns.given)}: this is about --task FILE. Name the file, or "
            "leave it out."
        )


class TaskData:
    """The data that this machine has; each task is read once.

    A record is a file of a stranger. So a file is read only where the user named it.

    Args:
        settings: the folder of the data, and the user's own files.
    """

    def __init__(self, settings: VerificationSettings) -> None:
        self._settings = settings
        self._own = {task_name(name): name for name in settings.tasks}
        self._classes: dict[tuple[str, bool], type[Task] | None] = {}
        self._splits: dict[tuple[str, str, bool], Splits | None] = {}

    def is_own(self, name: str) -> bool:
        """Return whether the user named a file for a task of this name."""
        return name in self._own

    def check_used(self, tasks: Sequence[TaskPart]) -> None:
        """Refuse a file that no record is about: it has another name than in its run.

        Args:
            tasks: the tasks of all records and certificates.

        Raises:
            UsageError: there is such a file. Where no record can be read, it is not known.
        """
        named = {name for task in tasks for name in task.sources}
        for name, path in self._own.items():
            if named and name not in named:
                raise UsageError(
                    f"--task {path}: no record is about '{name}', only about "
                    f"{', '.join(sorted(named))}. Name the file as in the run."
                )

    def class_of(self, name: str, *, split: bool = True) -> type[Task] | None:
        """Return the class of a registered task or of the user's file; None for others.

        Args:
            name: the task's name.
            split: whether the user's file is split, as in a run that trains a victim on it. A run
                with given victims alone judges all of its rows.

        Raises:
            UsageError: the user's file cannot be used as it is.
        """
        key = name, split
        if key not in self._classes:
            self._classes[key] = self._find_class(name, split)
        return self._classes[key]

    def _find_class(self, name: str, split: bool) -> type[Task] | None:
        if name in TASKS.names():
            return TASKS.get(name)
        if name not in self._own:
            return None
        return find_task(self._own[name], self._settings.columns, training=split, hub=False)

    def splits(self, task: TaskPart, *, split: bool = True) -> Splits | None:
        """Return the data of a task, or None where this machine does not have them.

        Args:
            task: what a record says of its task.
            split: see ``class_of``.

        Raises:
            UsageError: the user's file cannot be used as it is.
        """
        key = task.name, task.train_pool, split
        if key not in self._splits:
            self._splits[key] = self._read_splits(task, split)
        return self._splits[key]

    def _read_splits(self, task: TaskPart, split: bool) -> Splits | None:
        cls = self.class_of(task.name, split=split)
        if cls is None:
            return None
        try:
            return load_splits(task.name, cls, self._source, train_pool=_pool(cls, task))
        except RobenchError:
            if self.is_own(task.name):
                raise
            return None

    def listed(self, task: TaskPart, ids: Path) -> Splits:
        """Return the data of a task with the test examples of a list.

        Args:
            task: a task whose data are here.
            ids: the list, one example a line.

        Raises:
            UsageError: a line of the list names no example of the task.
        """
        cls = self.class_of(task.name)
        assert cls is not None
        return load_splits(task.name, cls, self._source, train_pool=_pool(cls, task), ids=ids)

    def lists(self, stem: str) -> list[Path]:
        """Return the lists of this name in the folder of the data."""
        folder = self._settings.data
        if folder is None or not folder.is_dir():
            return []
        return sorted(each for each in folder.iterdir() if each.stem == stem and each.is_file())

    def judged_elsewhere(self, task: TaskPart, *, split: bool = True) -> Splits | None:
        """Return the data of ``other_test`` as a run on this task judges them.

        Its texts that the task trains with are left out, and its labels are those of the task.

        Args:
            task: what a record says of its task.
            split: see ``class_of``; it is about the file of the task itself.

        Returns:
            The splits, or None where this machine does not have the data of both.

        Raises:
            UsageError: a file of the user cannot be used as it is.
        """
        own, cls = self.splits(task, split=split), self.class_of(task.name, split=split)
        other = task.other_test or ""
        if own is None or cls is None:
            return None
        fields = tuple(own.test[0].fields)
        source = self._other_class(other, cls, fields)
        if source is None:
            return None
        try:
            loaded = load_splits(other, source, self._source)
        except RobenchError:
            if self.is_own(other):
                raise
            return None
        same = with_labels_of(task.name, cls, fields, other, source, loaded)
        return without_known_texts(task.name, own, other, same, Silent())

    def _other_class(
        self, name: str, cls: type[Task], fields: tuple[str, ...]
    ) -> type[Task] | None:
        """Return the class of another test set, read as a run on ``cls`` reads it (``--test``)."""
        if name not in self._own:
            return TASKS.get(name) if name in TASKS.names() else None
        columns = replace(
            self._settings.columns,
            train_file=None,
            dev_file=None,
            test_file=None,
            labels=cls.labels,
            fields=fields,
            max_tokens=cls.max_tokens,
        )
        return find_task(self._own[name], columns, training=False, hub=False)

    @property
    def _source(self) -> DataSource:
        return DataSource(self._settings.data, self._settings.hub)


def _pool(cls: type[Task], task: TaskPart) -> str | None:
    return task.train_pool if task.train_pool in cls.train_pools else None
