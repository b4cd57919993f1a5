"""SST-2: the same splits from a folder, an archive and the hub; refusals."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from publishers import ARCHIVES, Hub, pack

from robench import TASKS, DataSource, Splits
from robench._base.errors import UsageError
from robench.tasks import sst2
from robench.tasks.checks import check_splits
from robench.tasks.guard import Guard

LABEL_FIRST, LABEL_LAST = "label\tsentence", "sentence\tlabel"


def rows(split: str, size: int) -> list[tuple[str, int]]:
    return [(f'{split} "is {number} .', number % 2) for number in range(size)]


def write_sst2(folder: Path, header: str = LABEL_FIRST) -> Path:
    place = folder / "SST-2"
    place.mkdir(parents=True)
    for split, size in (("train", 40), ("dev", 12)):
        lines = [
            f"{label}\t{text} " if header == LABEL_FIRST else f"{text} \t{label}"
            for text, label in rows(split, size)
        ]
        (place / f"{split}.tsv").write_text("\n".join([header, *lines]) + "\n")
    (place / "test.tsv").write_text("index\tsentence\n0\tno label\n")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sst2, "DEV_SIZE", 6)
    monkeypatch.setattr(Guard, "check", lambda *_: None)


def load(folder: Path | None, ids: Path | None = None) -> Splits:
    return TASKS.get("sst2")().load(DataSource(folder, hub=folder is None), ids=ids)


def test_the_official_dev_sentences_are_judged(tmp_path: Path) -> None:
    splits = load(write_sst2(tmp_path / "d"))
    assert {example.fields["text"] for example in splits.test} == {
        text for text, _ in rows("dev", 12)
    }
    assert Counter(example.label for example in splits.dev) == {0: 3, 1: 3}
    assert (len(splits.train), splits.test_name, splits.origin) == (34, "frozen-12", "folder d")
    check_splits("sst2", TASKS.get("sst2"), splits)


def test_the_order_of_the_columns_makes_no_difference(tmp_path: Path) -> None:
    first = load(write_sst2(tmp_path / "a"))
    assert load(write_sst2(tmp_path / "b", LABEL_LAST)).digest == first.digest


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archive_gives_the_same_splits(tmp_path: Path, suffix: str) -> None:
    pack(write_sst2(tmp_path / "x"), tmp_path / "packed" / f"sst2{suffix}")
    splits, plain = load(tmp_path / "packed"), load(write_sst2(tmp_path / "plain"))
    assert (splits.digest, splits.training_digests) == (plain.digest, plain.training_digests)


def test_the_hub_gives_the_same_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: dict[tuple[str, str], dict[str, list[Any]]] = {
        (sst2.HUB, split): {
            "sentence": [f"{text} " for text, _ in rows(name, size)],
            "label": [label for _, label in rows(name, size)],
        }
        for split, name, size in (("train", "train", 40), ("validation", "dev", 12))
    }
    monkeypatch.setattr(datasets, "load_dataset", Hub(tables))
    splits, plain = load(None), load(write_sst2(tmp_path))
    assert (splits.digest, splits.training_digests) == (plain.digest, plain.training_digests)
    assert splits.origin == "hub stanfordnlp/sst2"


def test_a_list_of_ids_is_followed(tmp_path: Path) -> None:
    folder = write_sst2(tmp_path / "d")
    wanted = [example.id for example in load(folder).test][:3]
    (tmp_path / "mine.txt").write_text("\n".join(wanted))
    assert [example.id for example in load(folder, tmp_path / "mine.txt").test] == wanted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("index\tsentence\tlabel\n0\ta\t1\n", "does not name a label and one other column"),
        ("label\tsentence\n1\n", "line 2 is no labelled sentence"),
        ("label\tsentence\n-1\ta film\n", "line 2 is no labelled sentence"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str, said: str) -> None:
    folder = write_sst2(tmp_path / "d")
    (folder / "SST-2" / "train.tsv").write_text(content)
    with pytest.raises(UsageError, match=said):
        load(folder)


def test_missing_files_are_named(tmp_path: Path) -> None:
    source = DataSource(tmp_path, hub=False)
    with pytest.raises(UsageError, match=r"no complete SST-2/\{train,dev\}\.tsv in the folder"):
        TASKS.get("sst2")().load(source)
