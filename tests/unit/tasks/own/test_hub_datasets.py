"""Datasets of the hub, with a stand-in for the library's loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from own_data import load, reviews, write_rows

from robench._base.errors import UsageError
from robench.tasks.columns import DataColumns
from robench.tasks.own.sources import split_hub_name
from robench.tasks.resolving import find_task

NAMES = ["negative", "positive"]


def split(name: str, size: int, label: int | None = None) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)}
    )
    labels = [n % 2 if label is None else label for n in range(size)]
    return datasets.Dataset.from_dict(
        {"text": [f"{name} {n}" for n in range(size)], "label": labels}, features=features
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str | None], Any]:
    """Name and configuration -> the splits that the stand-in returns."""
    tables: dict[tuple[str, str | None], Any] = {}

    def load_dataset(name: str, config: str | None) -> datasets.DatasetDict:
        if (name, config) not in tables:
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub.\nMore lines")
        return datasets.DatasetDict(tables[name, config])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return tables


def test_splits_and_names_of_classes_are_used(hub: dict[Any, Any]) -> None:
    hub["org/films", None] = {
        "train": split("a", 40), "validation": split("b", 10), "test": split("c", 12),
        "unsupervised": split("d", 5, label=-1),
    }  # fmt: skip
    task, splits = load("hf:org/films")
    assert task.labels == ("negative", "positive")
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (40, 10, 12)
    assert splits.origin == "hub org/films"
    assert "The split 'unsupervised' of hf:org/films has no labels (-1)" in "\n".join(
        splits.remarks
    )


def test_a_test_split_without_labels_gives_way_to_validation(hub: dict[Any, Any]) -> None:
    hub["nyu/glue", "sst2"] = {
        "train": split("a", 40), "validation": split("b", 10), "test": split("c", 12, label=-1),
    }  # fmt: skip
    _, splits = load("hf:nyu/glue/sst2")
    assert {example.fields["text"] for example in splits.test} == {f"b {n}" for n in range(10)}
    assert (len(splits.train), len(splits.dev)) == (36, 4)
    told = "\n".join(splits.remarks)
    assert "split 'test' of hf:nyu/glue/sst2 has no labels (-1) and is not used" in told
    assert "split 'validation' of hf:nyu/glue/sst2 is the test set" in told
    assert splits.origin == "hub nyu/glue, sst2"


def test_rows_without_a_label_are_left_out(hub: dict[Any, Any]) -> None:
    mixed = datasets.concatenate_datasets([split("a", 40), split("x", 3, label=-1)])
    hub["org/films", None] = {"train": mixed, "test": split("c", 12)}
    _, splits = load("hf:org/films")
    assert len(splits.train) + len(splits.dev) == 40
    assert "3 rows of split 'train' of hf:org/films have no label (-1)" in "\n".join(splits.remarks)


def test_a_single_split_is_carved(hub: dict[Any, Any]) -> None:
    hub["org/films", None] = {"train": split("a", 50)}
    _, splits = load("hf:org/films")
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (36, 4, 10)


def test_a_test_file_takes_the_place_of_the_split(hub: dict[Any, Any], tmp_path: Path) -> None:
    hub["org/films", None] = {"train": split("a", 40), "test": split("c", 12)}
    path = write_rows(tmp_path / "mine.csv", reviews(8))
    _, splits = load("hf:org/films", test_file=path)
    assert len(splits.test) == 8
    assert splits.origin == "hub org/films, test: mine.csv"


def test_what_cannot_be_read_is_one_sentence(hub: dict[Any, Any]) -> None:
    with pytest.raises(UsageError, match=r"hub's org/x/y cannot be read \(ConnectionError: Couldn"):
        load("hf:org/x/y")
    with pytest.raises(UsageError, match="--no-hub forbids"):
        find_task("hf:org/x", DataColumns(), hub=False)
    hub["org/odd", None] = {"part1": split("a", 4), "part2": split("b", 4)}
    with pytest.raises(UsageError, match="called part1, part2, and none of them is test"):
        load("hf:org/odd")


def test_names_have_one_to_three_parts() -> None:
    assert split_hub_name("hf:imdb") == ("imdb", None)
    assert split_hub_name("hf:org/name") == ("org/name", None)
    assert split_hub_name("hf:org/name/config") == ("org/name", "config")
    for name in ("hf:", "hf:a//b", "hf:a/b/c/d"):
        with pytest.raises(UsageError, match="is no name of a dataset"):
            split_hub_name(name)
