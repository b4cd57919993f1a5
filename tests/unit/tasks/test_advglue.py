"""AdvGLUE: six test sets from one file, for victims of other tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import datasets
import pytest
from publishers import pack

from robench import TASKS, DataSource, Splits
from robench._base.errors import UsageError
from robench.tasks import advglue_files
from robench.tasks.advglue_files import AdvGlue
from robench.tasks.checks import check_splits
from robench.tasks.guard import Guard
from robench.tasks.resolving import all_tasks

NAMES = [name for name in TASKS.names() if name.startswith("advglue-")]


def task_of(name: str) -> type[AdvGlue]:
    return cast(type[AdvGlue], TASKS.get(name))


def rows_of(task: type[AdvGlue]) -> list[dict[str, Any]]:
    return [
        {"idx": n, "label": n % len(task.labels)} | {c: f"{c}  {n} ." for c in task.columns}
        for n in range(6)
    ]


def write_advglue(folder: Path) -> Path:
    folder.mkdir(parents=True)
    content = {task_of(name).set_name: rows_of(task_of(name)) for name in NAMES}
    (folder / "dev.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(autouse=True)
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "check", lambda *_: None)


def load(name: str, folder: Path) -> Splits:
    return TASKS.get(name)().load(DataSource(folder, hub=False))


def test_there_are_six_sets() -> None:
    assert [name.removeprefix("advglue-") for name in NAMES] == [
        "mnli", "mnli-mm", "qnli", "qqp", "rte", "sst2",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_a_test_set_only(name: str, tmp_path: Path) -> None:
    splits, task = load(name, write_advglue(tmp_path / "advglue")), task_of(name)
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (0, 0, 6)
    assert tuple(splits.test[0].fields) == task.fields
    assert task.attackable == task.fields[-1]
    by_text = {example.fields[task.attackable]: example.label for example in splits.test}
    for row in rows_of(task):
        assert by_text[" ".join(str(row[task.columns[-1]]).split())] == row["label"]
    check_splits(name, task, splits, training=False)
    with pytest.raises(UsageError, match=f"has a test set only.* --test {name}"):
        check_splits(name, task, splits, training=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_gives_the_same_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(name)

    def load_dataset(dataset: str, config: str, *, split: str) -> datasets.Dataset:
        assert (dataset, config, split) == (advglue_files.HUB, task.config, "validation")
        return datasets.Dataset.from_list(rows_of(task))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    splits = task().load(DataSource(None, hub=True))
    assert splits.digest == load(name, write_advglue(tmp_path / "adv_glue")).digest
    assert splits.origin == f"hub {advglue_files.HUB}, {task.config}"


def test_an_archive_gives_the_same_set(tmp_path: Path) -> None:
    write_advglue(tmp_path / "x" / "advglue")
    pack(tmp_path / "x", tmp_path / "packed" / "advglue_dev.zip")
    expected = load("advglue-rte", tmp_path / "x").digest
    assert load("advglue-rte", tmp_path / "packed").digest == expected


def test_sets_fit_the_tasks_that_they_serve() -> None:
    for name, other in (("sst2", "sst2"), ("mnli", "snli"), ("mnli-mm", "snli")):
        task, served = TASKS.get(f"advglue-{name}"), TASKS.get(other)
        assert (task.labels, task.fields) == (served.labels, served.fields)


def test_all_leaves_test_sets_out() -> None:
    assert not set(NAMES) & set(all_tasks())
    assert {"imdb", "snli", "sst2", "mini-reviews"} <= set(all_tasks())


def test_what_is_missing_or_odd_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no complete advglue/dev\.json"):
        load("advglue-qqp", tmp_path)
    with pytest.raises(UsageError, match="has no training pools"):
        TASKS.get("advglue-qqp")().load(DataSource(None, hub=False), train_pool="train")
    folder = tmp_path / "advglue"
    folder.mkdir()
    (folder / "dev.json").write_text('{"qqp": [{"label": 0}]}')
    with pytest.raises(UsageError, match="'qqp' of AdvGLUE has a row of another form"):
        load("advglue-qqp", folder)
    (folder / "dev.json").write_text("[1]")
    with pytest.raises(UsageError, match="it is not a JSON object of lists"):
        load("advglue-qqp", folder)
