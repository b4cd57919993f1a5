"""IMDB: the same splits from a folder, an archive and the hub; refusal of other data."""

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


def test_a_folder_gives_balanced_disjoint_splits(folder: Path) -> None:
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
    everything = [*splits.train, *splits.dev, *splits.test]
    ids = [example.id for example in everything]
    assert len(ids) == len(set(ids))
    assert (splits.train_pool, splits.test_name, splits.origin) == (
        "train",
        "frozen-10",
        "folder plain",
    )
    assert splits.digest == digest(splits.test)


def test_a_byte_order_mark_is_no_part_of_a_review(folder: Path) -> None:
    plain = load(folder)
    for path in folder.rglob("*_*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert digests(load(folder)) == digests(plain)


def test_texts_are_cleaned(folder: Path) -> None:
    splits = load(folder)
    for example in splits.test:
        text = example.fields["text"]
        pairs = {text[at : at + 2] for at in range(99)}
        assert not {"  ", "<br", "\xa0", "\x85"} & pairs
    assert any(
        'review 3 "neg" café end' in example.fields["text"]
        for example in (*splits.train, *splits.dev)
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


def test_training_texts_that_are_also_dev_or_test_texts_are_dropped(folder: Path) -> None:
    plain = load(folder)
    train = folder / "aclImdb" / "train" / "pos"
    # A test review in capitals, and a dev review in capitals.
    test_text, dev_text = plain.test[0].fields["text"], plain.dev[0].fields["text"]
    (train / "500_9.txt").write_text(test_text.upper(), encoding="utf-8")
    (train / "501_9.txt").write_text(dev_text.upper() + "\n", encoding="utf-8")
    # An official test review that is not one of the frozen ones.
    frozen = {example.fields["text"] for example in plain.test}
    official = (folder / "aclImdb" / "test" / "neg").iterdir()
    rest = next(path for path in official if clean_text(path) not in frozen)
    (train / "502_9.txt").write_bytes(rest.read_bytes())
    assert digests(load(folder)) == digests(plain)


def clean_text(path: Path) -> str:
    return make_examples("imdb", [({"text": path.read_text(encoding="utf-8")}, 0)])[0].fields[
        "text"
    ]


@pytest.mark.parametrize("prefix", ["", "test/", "aclImdb/test/", "./aclImdb/test/"])
def test_a_published_list_decides_the_test_examples(
    folder: Path, tmp_path: Path, prefix: str
) -> None:
    (tmp_path / "jia_2019.txt").write_text(
        f"{prefix}neg/3_2.txt\n{prefix}pos/11_9.txt\n{prefix}pos/0_9.txt\n"
    )
    splits = load(folder, ids=tmp_path / "jia_2019.txt")
    assert splits.test_name == "list-jia_2019"
    assert sorted(
        (example.label, example.fields["text"].split()[2]) for example in splits.test
    ) == [(0, "3"), (1, "0"), (1, "11")]
    assert splits.digest == digest(splits.test) != load(folder).digest
    # Train and dev do not depend on the list.
    assert digests(splits)[1:] == digests(load(folder))[1:]


@pytest.mark.parametrize(
    "line", ["train/pos/0_9.txt", "pos/99_9.txt", "0_9.txt", "imdb/0123456789abcdef", "neg/0_9.txt"]
)
def test_a_line_that_names_no_test_review_is_refused(
    folder: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "list.txt").write_text(f"pos/1_9.txt\n{line}\n")
    with pytest.raises(
        UsageError, match=rf"Line 2 of .*list\.txt \('{line}'\) names no test example"
    ):
        load(folder, ids=tmp_path / "list.txt")


def test_a_training_id_in_a_list_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(load(folder).train[0].id)
    with pytest.raises(UsageError, match="names no test example"):
        load(folder, ids=tmp_path / "list.txt")


def test_on_the_hub_a_list_of_ids_works_and_file_names_do_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    (tmp_path / "ids.txt").write_text("\n".join(example.id for example in load(folder).test[:3]))
    assert (
        load(None, ids=tmp_path / "ids.txt").digest == load(folder, ids=tmp_path / "ids.txt").digest
    )
    (tmp_path / "names.txt").write_text("pos/1_9.txt")
    with pytest.raises(UsageError, match="have no file names"):
        load(None, ids=tmp_path / "names.txt")


def test_unlabelled_reviews_alone_are_not_imdb(folder: Path) -> None:
    for half, label in (("train", "neg"), ("train", "pos"), ("test", "neg"), ("test", "pos")):
        shutil.rmtree(folder / "aclImdb" / half / label)
    with pytest.raises(
        UsageError,
        match=(
            r"There is no complete aclImdb/\{train,test\}/\{neg,pos\}/\*\.txt "
            r"in the folder .*plain.* --data"
        ),
    ):
        load(folder)


def test_without_folder_and_hub_the_sentence_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({}))
    for folder in (None, tmp_path):
        with pytest.raises(
            UsageError,
            match=(
                r"and the hub's stanfordnlp/imdb cannot be read \(ConnectionError: .*\)\. "
                r"Name the folder .* with --data\.$"
            ),
        ):
            TASKS.get("imdb")().load(DataSource(folder))


def test_an_empty_folder_falls_back_to_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    assert TASKS.get("imdb")().load(DataSource(tmp_path)).origin == "hub stanfordnlp/imdb"


def test_the_hub_does_not_replace_a_truncated_archive(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", imdb_hub())
    archive = pack(folder, tmp_path / "packed" / "imdb.tar.xz")
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(UsageError, match=r"The archive .*imdb\.tar\.xz cannot be read"):
        TASKS.get("imdb")().load(DataSource(tmp_path / "packed"))


def test_a_review_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "aclImdb" / "test" / "pos" / "7_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"test/pos/7_9\.txt does not hold what its name says"):
        load(folder)


def test_an_unknown_pool_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no training pool 'cad'"):
        load(folder, train_pool="cad")


def test_too_few_reviews_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Restore the real sizes and guards.
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"500 examples of label 0 are needed"):
        load(folder)


def test_enough_other_reviews_are_refused_by_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    texts = {half: [f"{half} {number}" for number in range(1200)] for half in ("train", "test")}
    tables: dict[tuple[str, str], dict[str, list[Any]]] = {
        (imdb.HUB, half): {"text": texts[half], "label": [number % 2 for number in range(1200)]}
        for half in texts
    }
    monkeypatch.setattr(datasets, "load_dataset", Hub(tables))
    with pytest.raises(
        UsageError,
        match=(
            r"dev examples of imdb come from other data than the published ones: "
            r"rows per label 600 \+ 600 instead of .*; digest \w+ instead of a2698c35"
        ),
    ):
        load(None)
