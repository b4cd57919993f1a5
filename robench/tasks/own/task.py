"""The task that is made from the user's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from robench._base.errors import UsageError
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.columns import DataColumns
from robench.tasks.example import Example
from robench.tasks.frozen import TEST_SIZE, RawRow, make_examples, without
from robench.tasks.own.choose import Chosen, choose_columns
from robench.tasks.own.labels import read_labels
from robench.tasks.own.picking import (
    DEV_SHARE,
    TEST_SHARE,
    count_labels,
    count_unclear,
    one_per_text,
    pick,
)
from robench.tasks.own.sources import Parts, find_parts
from robench.tasks.own.tables import Table
from robench.tasks.own.texts import choose_window, read_rows
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

ID_PREFIX = "data"
"""First part of the ids. The name of a file is no part of an id, so the same rows in a csv and a
jsonl file have the same ids, and the same of them are picked."""
DEV_SIZE = 1000
_LEAST = 3
"""Rows of a label that one file needs: one each for train, dev and test."""


@dataclass(frozen=True)
class OwnRows:
    """The rows of a task, by part; see ``Parts``.

    Attributes:
        name: the task's name.
        rows: part (``"single"``, ``"train"``, ``"dev"``, ``"test"``) -> its rows.
        tables: part -> its name in sentences.
        training: whether a victim is trained on them.
        origin: where they were found.
        remarks: sentences that the user should read.
    """

    name: str
    rows: dict[str, list[RawRow]]
    tables: dict[str, str]
    training: bool
    origin: str
    remarks: tuple[str, ...]


class OwnTask(Task):
    """A task of the user's own data; ``make_task`` makes a class of its own for each."""

    licence = "that of the data (they are the user's own)"
    paper = "none: the user's own data"
    own: ClassVar[OwnRows]

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Split the rows, which were read before; ``source`` is ignored. See ``Task.load``."""
        own, classes = self.own, len(self.labels)
        pool = choose_train_pool(own.name, self.train_pools, train_pool)
        examples = {part: make_examples(ID_PREFIX, rows) for part, rows in own.rows.items()}
        remarks = list(own.remarks)
        train_all = examples.get("train", examples.get("single", []))
        test_all = examples.get("test", train_all)
        if ids is not None:
            test = pick_listed(ids, test_all, {})
        elif "test" in examples or not own.training:
            test = pick(one_per_text(test_all), classes, TEST_SIZE)
        else:
            self._check_size(train_all)
            test = pick(one_per_text(train_all), classes, TEST_SIZE, TEST_SHARE)
        judged = test_all if "test" in examples else test
        train_all = without(train_all, judged) if own.training else []
        if "test" in examples and own.training:
            remarks += self._left_out("train", examples, train_all)
        dev = self._dev(examples, train_all, judged, remarks)
        train = without(train_all, dev)
        splits = make_splits(train, dev, test, pool=pool, ids=ids, origin=own.origin)
        if ids is None and (len(test_all) > len(test) and ("test" in examples or not own.training)):
            remarks.append(
                f"{len(test):,} of the {len(test_all):,} rows of "
                f"{own.tables.get('test', own.name)} are judged."
            )
        unclear = count_unclear(test_all) if ids is None else 0
        if unclear:
            what = "1 text" if unclear == 1 else f"{unclear:,} texts"
            verb = "occurs" if unclear == 1 else "occur"
            remarks.append(
                f"{what} of {own.tables.get('test', own.name)} {verb} with several labels. No such "
                "text is a test example."
            )
        return replace(splits, remarks=(*splits.remarks, *remarks))

    def _dev(
        self,
        examples: dict[str, list[Example]],
        train_all: Sequence[Example],
        judged: Sequence[Example],
        remarks: list[str],
    ) -> list[Example]:
        """Return the dev examples: of their own table, or else carved from ``train_all``."""
        classes = len(self.labels)
        if not self.own.training:
            return []
        if "dev" in examples:
            kept = without(examples["dev"], judged)
            remarks += self._left_out("dev", examples, kept)
            return pick(one_per_text(kept), classes, DEV_SIZE)
        return pick(one_per_text(train_all), classes, DEV_SIZE, DEV_SHARE)

    def _left_out(
        self, part: str, examples: dict[str, list[Example]], kept: Sequence[Example]
    ) -> list[str]:
        """Say how many examples of a part are left out, because their texts are test texts."""
        count = len(examples.get(part, kept)) - len(kept)
        if not count:
            return []
        return [
            f"{count:,} rows of {self.own.tables[part]} have a text of the test set and are left "
            "out of it."
        ]

    def _check_size(self, examples: Sequence[Example]) -> None:
        counts = count_labels(one_per_text(examples), len(self.labels))
        for label, count in zip(self.labels, counts, strict=True):
            if count < _LEAST:
                raise UsageError(
                    f"Label '{label}' of {self.own.name} has {count} different "
                    f"{'text' if count == 1 else 'texts'}. At least "
                    f"{_LEAST} are needed for train, dev and test. Add rows, remove the label, or "
                    "name a file for the test set with --test-file."
                )


def make_task(name: str, typed: str, said: DataColumns, *, training: bool, hub: bool) -> type[Task]:
    """Read the user's data and return the class of their task.

    Args:
        name: the task's name.
        typed: the file or the hub dataset.
        said: what the user says about them.
        training: whether a victim is trained.
        hub: whether the hub may be used.

    Raises:
        UsageError: the data cannot be read, or are not what the options say.
    """
    parts = find_parts(typed, said, hub=hub)
    tables = parts.tables
    chosen = {
        part: choose_columns(table.name, table.columns, said) for part, table in tables.items()
    }
    main = next(iter(chosen.values()))
    _check_same_shape(tables, chosen)
    labels = read_labels(
        [(table, chosen[part].label) for part, table in tables.items()], said.labels
    )
    fields = _field_names(main, said)
    rows: dict[str, list[RawRow]] = {}
    remarks = [*parts.remarks]
    for (part, table), of_rows in zip(tables.items(), labels.of, strict=True):
        rows[part], about = read_rows(table, chosen[part], fields, of_rows)
        remarks += [*table.remarks, *chosen[part].remarks, *about]
    window, about_window = _window(rows, said)
    remarks += [*labels.remarks, *about_window, *_about_split(parts, training)]
    own = OwnRows(
        name,
        rows,
        {part: table.name for part, table in tables.items()},
        training,
        parts.origin,
        tuple(dict.fromkeys(remarks)),
    )
    attributes = {
        "__module__": __name__,
        "__doc__": f"The user's own data {name}.",
        "labels": labels.names,
        "fields": fields,
        "attackable": fields[main.texts.index(main.attack)],
        "max_tokens": window,
        "substitutions": said.substitutions or Task.substitutions,
        "own": own,
    }
    return type("OwnTask", (OwnTask,), attributes)


def _check_same_shape(tables: dict[str, Table], chosen: dict[str, Chosen]) -> None:
    """Refuse a text beside pairs."""
    numbers = {tables[part].name: len(each.texts) for part, each in chosen.items()}
    if len(set(numbers.values())) > 1:
        shown = ", ".join(f"{name}: {number}" for name, number in numbers.items())
        raise UsageError(
            f"The files have different numbers of texts in a row ({shown}). "
            "Name the columns with --text-column and --pair-column."
        )


def _field_names(main: Chosen, said: DataColumns) -> tuple[str, ...]:
    if not said.fields:
        return ("text",) if len(main.texts) == 1 else main.texts
    if len(said.fields) != len(main.texts):
        raise UsageError(
            f"The task has the fields {', '.join(said.fields)}, and the data have the texts "
            f"{', '.join(main.texts)}. Name the columns with --text-column and --pair-column."
        )
    return said.fields


def _window(rows: dict[str, list[RawRow]], said: DataColumns) -> tuple[int, tuple[str, ...]]:
    if said.max_tokens is not None:
        return said.max_tokens, ()
    window, words = choose_window(next(iter(rows.values())))
    return window, (
        f"The window is {window} tokens, because 95 % of the texts have at most {words:,} words. "
        "--max-tokens changes it.",
    )


def _about_split(parts: Parts, training: bool) -> tuple[str, ...]:
    if parts.single is None:
        return ()
    name = parts.single.name
    if not training:
        return (
            f"All rows of {name} are test examples; none is for training. If a victim was trained "
            "on some of them, name a file that it has not seen.",
        )
    return (
        f"{name} is split by a rule over its texts, whatever the order of the rows: 20 % for test "
        f"(at most {TEST_SIZE:,}), 10 % of the rest for dev. --test-file names another test set.",
    )
