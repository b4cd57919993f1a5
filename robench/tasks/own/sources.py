"""Which table is which part: the files and options, or the splits of a hub dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import UsageError, first_line
from robench._base.hub import no_pointless_retries
from robench.tasks.columns import HUB_PREFIX, DataColumns
from robench.tasks.own.tables import Table, read_table

if TYPE_CHECKING:
    from datasets import Dataset

_DEV_NAMES = ("validation", "dev", "valid", "val")


@dataclass(frozen=True)
class Parts:
    """The tables of one task; at least one is there.

    Attributes:
        single: a table for all parts that have no table of their own.
        train: the training examples.
        dev: the dev examples.
        test: the test examples.
        origin: where the data were found, in words.
        remarks: sentences about the parts.
    """

    single: Table | None = None
    train: Table | None = None
    dev: Table | None = None
    test: Table | None = None
    origin: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def tables(self) -> dict[str, Table]:
        """The tables that are there, by the name of the part; the main one first."""
        named = {"single": self.single, "train": self.train, "dev": self.dev, "test": self.test}
        return {part: table for part, table in named.items() if table is not None}


def find_parts(name: str, said: DataColumns, *, hub: bool) -> Parts:
    """Read the tables of a task.

    Args:
        name: a file, or ``hf:NAME`` or ``hf:NAME/CONFIG``.
        said: names the other files.
        hub: whether the hub may be used.

    Raises:
        UsageError: a file or dataset cannot be read, or the files leave no use for one of them.
    """
    from_hub = name.startswith(HUB_PREFIX)
    parts = _hub_parts(name, hub=hub) if from_hub else Parts(single=read_table(Path(name)))
    files = {part: getattr(said, f"{part}_file") for part in ("train", "dev", "test")}
    given = {part: read_table(path) for part, path in files.items() if path is not None}
    if not from_hub and {"train", "test"} <= given.keys():
        raise UsageError(
            f"--train-file and --test-file leave no use for --task {name}. Leave one of them out: "
            "--task FILE with --test-file is the training set, with --train-file the test set."
        )
    if not from_hub and "test" in given:
        parts = Parts(train=parts.single)
    elif not from_hub and "train" in given:
        parts = Parts(test=parts.single)
    origin = parts.origin or f"file {Path(name).name}"
    added = "".join(f", {part}: {path.name}" for part, path in files.items() if path is not None)
    return Parts(
        single=parts.single,
        train=given.get("train", parts.train),
        dev=given.get("dev", parts.dev),
        test=given.get("test", parts.test),
        origin=origin + added,
        remarks=parts.remarks,
    )


def _hub_parts(name: str, *, hub: bool) -> Parts:
    """Read the splits of a hub dataset."""
    dataset, config = split_hub_name(name)
    if not hub:
        raise UsageError(f"--task {name} is a dataset of the hub, and --no-hub forbids to use it.")
    splits = {split: _table(name, split, data) for split, data in _load(dataset, config).items()}
    remarks = []
    for split, table in list(splits.items()):
        if _is_unlabelled(table):
            del splits[split]
            remarks.append(f"The split '{split}' of {name} has no labels (-1) and is not used.")
    train, test = splits.get("train"), splits.get("test")
    dev = next((splits[split] for split in _DEV_NAMES if split in splits), None)
    origin = f"hub {dataset}" + (f", {config}" if config else "")
    if test is None and dev is not None:
        remarks.append(f"{dev.name} is the test set, because no other split with labels is.")
        test, dev = dev, None
    if test is not None:
        return Parts(train=train, dev=dev, test=test, origin=origin, remarks=tuple(remarks))
    if len(splits) != 1:
        raise UsageError(
            f"The splits of {name} are called {', '.join(splits) or 'nothing'}, and none of them "
            "is test or validation. Save the parts as files, and name them with --task, "
            "--train-file or --test-file."
        )
    return Parts(single=next(iter(splits.values())), origin=origin, remarks=tuple(remarks))


def split_hub_name(name: str) -> tuple[str, str | None]:
    """Return dataset and configuration of ``hf:NAME`` or ``hf:OWNER/NAME[/CONFIG]``.

    Raises:
        UsageError: the name has another form.
    """
    parts = name.removeprefix(HUB_PREFIX).split("/")
    if not all(parts) or len(parts) > 3:
        raise UsageError(
            f"--task {name} is no name of a dataset. Write hf:OWNER/NAME or hf:OWNER/NAME/CONFIG."
        )
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


def _load(dataset: str, config: str | None) -> Mapping[str, Dataset]:
    # Importing `datasets` takes seconds, so it is imported only when it is needed.
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"The hub's {dataset} needs the package 'datasets', which cannot be imported. "
            "Install it: pip install 'robench[hub]'"
        ) from error
    # The hub's libraries raise whatever their transport raises, so any exception is caught.
    try:
        with no_pointless_retries():
            loaded: Mapping[str, Dataset] = datasets.load_dataset(dataset, config)
    except Exception as error:
        shown = f"{dataset}/{config}" if config else dataset
        raise UsageError(
            f"The hub's {shown} cannot be read ({type(error).__name__}: "
            f"{first_line(error)[:200]}). Check the name (hf:OWNER/NAME/CONFIG) and the network, "
            "or save the data as a file."
        ) from error
    return loaded


def _table(name: str, split: str, data: Dataset) -> Table:
    classes = {
        column: tuple(feature.names)
        for column, feature in data.features.items()
        if getattr(feature, "names", None)
    }
    return Table(
        name=f"split '{split}' of {name}",
        columns=tuple(data.column_names),
        read=lambda column: list(data[column]),
        rows=len(data),
        class_names=classes,
    )


def _is_unlabelled(table: Table) -> bool:
    """Return whether a column with classes is -1 in every row."""
    return any(
        all(cell is None or cell == -1 for cell in table.read(column))
        for column in table.class_names
    )
