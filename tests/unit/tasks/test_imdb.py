from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
from publishers import ARCHIVES, SIZE, Hub, imdb_hub, pack, shrink, write_imdb

from robench import TASKS, DataSource, Splits
from robench._base.errors import UsageError
from robench.tasks import imdb
from robench.tasks.frozen import digest, make_examples


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_imdb(tmp_path / "plain")


def load(folder: Path | None, **options: object) -> Splits:
    return TASKS.get("imdb")().load(DataSource(folder, hub=folder is None), **options)  # type: ignore[arg-type]


def digests(splits: Splits) -> tuple[str, ...]:
    return splits.digest, digest(splits.dev), digest(splits.train)


def test_the_splits_of_a_folder(folder: Path) -> None:
    splits = load(folder)
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [2 * SIZE - 6, 6, 10]
    for part in (splits.train, splits.dev, splits.test):
        assert sum(example.label for example in part) * 2 == len(part)
        assert [example.id for example in part] == sorted(example.id for example in part)
        assert all(("pos" in example.fields["text"]) == bool(example.label) for example in part)
    assert all(
        example.fields["text"].startswith("train review")
        for example in (*splits.train, *splits.dev)
    )
    assert all(example.fields["text"].startswith("test review") for example in splits.test)
    ids = [example.id for part in (splits.train, splits.dev, splits.test) for example in part]
    assert len(ids) == len(set(ids))
    assert (splits.train_pool, splits.test_name, splits.origin) == (
        "train",
        "frozen-10",
        "folder plain",
    )
    assert splits.digest == digest(splits.test)


def test_texts_are_cleaned(folder: Path) -> None:
    assert all(
        not {"  ", "<br", "\xa0", "\x85"}
        & {example.fields["text"][at : at + 2] for at in range(99)}
        for example in load(folder).test
    )
    assert any(
        'review 3 "neg" café end' in example.fields["text"]
        for part in (load(folder).train, load(folder).dev)
        for example in part
    )


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archive_gives_the_same_splits(folder: Path, tmp_path: Path, suffix: str) -> None:
    pack(folder, tmp_path / "packed" / f"aclImdb_v1{suffix}")
    splits = load(tmp_path / "packed")
    assert digests(splits) == digests(load(folder))
    assert splits.origin == f"archive aclImdb_v1{suffix}"


def test_the_hub_gives_the_same_splits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = imdb_hub()
    monkeypatch.setattr(datasets, "load_dataset", hub)
    splits = load(None)
    assert digests(splits) == digests(load(folder))
    assert splits.origin == "hub stanfordnlp/imdb"
    assert hub.asked == [("stanfordnlp/imdb", "train"), ("stanfordnlp/imdb", "test")]


def test_line_endings_and_trailing_blanks_make_no_difference(folder: Path) -> None:
    expected = digests(load(folder))
    for path in (folder / "aclImdb").rglob("*_*.txt"):
        path.write_bytes(path.read_bytes().rstrip(b" ").replace(b"  ", b"\r\n") + b"\r\n\r\n")
    assert digests(load(folder)) == expected


def test_the_halves_may_lie_in_two_archives(folder: Path, tmp_path: Path) -> None:
    expected = digests(load(folder))
    for half in ("train", "test"):
        shutil.copytree(folder / "aclImdb" / half, tmp_path / half / "aclImdb" / half)
        pack(tmp_path / half, tmp_path / "packed" / f"{half}.tar.gz")
    splits = load(tmp_path / "packed")
    assert digests(splits) == expected
    assert splits.origin == "archive test.tar.gz, archive train.tar.gz"


def test_training_texts_that_are_judged_are_dropped(folder: Path) -> None:
    plain = load(folder)
    train = folder / "aclImdb" / "train" / "pos"
    (train / "500_9.txt").write_text(
        plain.test[0].fields["text"].upper(), encoding="utf-8"
    )  # a test review in capitals
    (train / "501_9.txt").write_text(
        plain.dev[0].fields["text"].upper() + "\n", encoding="utf-8"
    )  # a dev review in capitals
    rest = next(
        path
        for path in (folder / "aclImdb" / "test" / "neg").iterdir()
        if clean_text(path) not in {example.fields["text"] for example in plain.test}
    )
    (train / "502_9.txt").write_bytes(
        rest.read_bytes()
    )  # an official test review that is not one of the frozen ones
    assert digests(load(folder)) == digests(plain)


def clean_text(path: Path) -> str:
    return make_examples("imdb", [({"text": path.read_text(encoding="utf-8")}, 0)])[0].fields[
        "text"
    ]


@pytest.mark.parametrize("prefix", ["", "test/", "aclImdb/test/", "./aclImdb/test/"])
def test_a_published_list(folder: Path, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "jia_2019.txt").write_text(
        f"{prefix}neg/3_2.txt\n{prefix}pos/11_9.txt\n{prefix}pos/0_9.txt\n"
    )
    splits = load(folder, ids=tmp_path / "jia_2019.txt")
    assert splits.test_name == "list-jia_2019"
    assert sorted(
        (example.label, example.fields["text"].split()[2]) for example in splits.test
    ) == [(0, "3"), (1, "0"), (1, "11")]
    assert splits.digest == digest(splits.test) != load(folder).digest
    assert (
        digests(splits)[1:] == digests(load(folder))[1:]
    )  # train and dev do not depend on the list


@pytest.mark.parametrize(
    "line", ["train/pos/0_9.txt", "pos/99_9.txt", "0_9.txt", "imdb/0123456789abcdef", "neg/0_9.txt"]
)
def test_a_line_that_is_no_test_review(folder: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"pos/1_9.txt\n{line}\n")
    with pytest.raises(
        UsageError, match=rf"Line 2 of .*list\.txt \('{line}'\) names no test example"
    ):
        load(folder, ids=tmp_path / "list.txt")


def test_a_training_id_is_no_test_id(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(load(folder).train[0].id)
    with pytest.raises(UsageError, match="names no test example"):
        load(folder, ids=tmp_path / "list.txt")


def test_ids_work_on_the_hub_and_file_names_do_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    (tmp_path / "ids.txt").write_text("\n".join(example.id for example in load(folder).test[:3]))
    assert (
        load(None, ids=tmp_path / "ids.txt").digest == load(folder, ids=tmp_path / "ids.txt").digest
    )
    (tmp_path / "names.txt").write_text("pos/1_9.txt")
    with pytest.raises(UsageError, match="came without file names"):
        load(None, ids=tmp_path / "names.txt")


def test_unlabelled_reviews_alone_are_not_imdb(folder: Path) -> None:
    for half, label in (("train", "neg"), ("train", "pos"), ("test", "neg"), ("test", "pos")):
        shutil.rmtree(folder / "aclImdb" / half / label)
    with pytest.raises(
        UsageError,
        match=r"There is no complete aclImdb/\{train,test\}/\{neg,pos\}/\*\.txt in the folder .*plain.* --data",
    ):
        load(folder)


def test_neither_folder_nor_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({}))
    for folder in (None, tmp_path):
        with pytest.raises(
            UsageError,
            match=r"and the hub's stanfordnlp/imdb cannot be had \(ConnectionError: .*\)\. Name the folder .* with --data\.$",
        ):
            TASKS.get("imdb")().load(DataSource(folder))


def test_an_empty_folder_falls_back_to_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    assert TASKS.get("imdb")().load(DataSource(tmp_path)).origin == "hub stanfordnlp/imdb"


def test_a_truncated_archive_is_not_passed_over_for_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    archive = pack(folder, tmp_path / "packed" / "imdb.tar.xz")
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(UsageError, match=r"The archive .*imdb\.tar\.xz cannot be read"):
        TASKS.get("imdb")().load(DataSource(tmp_path / "packed"))


def test_a_review_that_is_no_utf8_is_named(folder: Path) -> None:
    (folder / "aclImdb" / "test" / "pos" / "7_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"test/pos/7_9\.txt is not what its name promises"):
        load(folder)


def test_an_unknown_pool_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no training pool 'cad'"):
        load(folder, train_pool="cad")


def test_other_data_do_not_pass_the_guard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real sizes and guards
    with pytest.raises(UsageError, match=r"500 examples of label 0 are needed"):
        load(folder)


def test_as_many_other_data_do_not_pass_the_guard_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    texts = {half: [f"{half} {number}" for number in range(1200)] for half in ("train", "test")}
    tables: dict[tuple[str, str], dict[str, list[Any]]] = {
        (imdb.HUB, half): {"text": texts[half], "label": [number % 2 for number in range(1200)]}
        for half in texts
    }
    monkeypatch.setattr(datasets, "load_dataset", Hub(tables))
    with pytest.raises(
        UsageError,
        match=r"dev examples of imdb come from other data than the published ones: rows per label 600 \+ 600 instead of .*; digest \w+ instead of a2698c35",
    ):
        load(None)
