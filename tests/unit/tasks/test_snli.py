"""SNLI: the same splits from a folder, an archive and the hub; training pools; refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from publishers import ARCHIVES, SIZE, Hub, pack, pairs, shrink, snli_hub, write_pools, write_snli

from robench import TASKS, DataSource, Splits
from robench._base.errors import UsageError
from robench.tasks import snli
from robench.tasks.frozen import digest

ALL = ("train", "dev", "test")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snli, "TRAIN_SIZE", 3 * SIZE)
    shrink(monkeypatch)


def load(
    folder: Path | None, pool: str | None = None, ids: Path | None = None, hub: bool = False
) -> Splits:
    return TASKS.get("snli")().load(
        DataSource(folder, hub=hub or folder is None), train_pool=pool, ids=ids
    )


def digests(splits: Splits) -> tuple[str, ...]:
    return splits.digest, digest(splits.dev), digest(splits.train)


def test_a_folder_gives_balanced_splits(tmp_path: Path) -> None:
    splits = load(write_snli(tmp_path / "d", ALL))
    assert [
        Counter(example.label for example in part)
        for part in (splits.test, splits.dev, splits.train)
    ] == [
        {0: 4, 1: 3, 2: 3},
        {0: 2, 1: 2, 2: 2},
        {0: 12, 1: 12, 2: 12},
    ]
    for part, name in ((splits.test, "test"), (splits.dev, "dev"), (splits.train, "train")):
        for example in part:
            # The order in which the encoder reads the fields.
            assert list(example.fields) == ["premise", "hypothesis"]
            assert example.fields["premise"].startswith(f"{name} premise")
            assert snli.Snli.labels[example.label] in example.fields["hypothesis"]
    assert (splits.train_pool, splits.test_name, splits.origin) == (
        "train",
        "frozen-10",
        "folder d",
    )


def test_a_byte_order_mark_and_blank_lines_make_no_difference(tmp_path: Path) -> None:
    plain = load(write_snli(tmp_path / "plain", ALL))
    folder = write_snli(tmp_path / "windows", ALL)
    for path in folder.rglob("*.jsonl"):
        text = path.read_bytes().replace(b"\n", b"\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text + b"\r\n")
    assert digests(load(folder)) == digests(plain)


def test_pairs_without_a_label_are_dropped(tmp_path: Path) -> None:
    splits = load(write_snli(tmp_path, ALL), "snli-dev")
    everything = [*splits.test, *splits.dev, *splits.train]
    assert not any("Nobody" in example.fields["premise"] for example in everything)


@pytest.mark.parametrize("suffix", ARCHIVES)
@pytest.mark.parametrize("name", ["snli_1.0", "snli"])
def test_an_archive_gives_the_same_splits(tmp_path: Path, suffix: str, name: str) -> None:
    pack(write_snli(tmp_path / "x", ALL, name), tmp_path / "packed" / f"{name}{suffix}")
    splits = load(tmp_path / "packed")
    assert digests(splits) == digests(load(write_snli(tmp_path / "plain", ALL)))
    assert splits.origin == f"archive {name}{suffix}"


def test_the_hub_gives_the_same_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", snli_hub(*ALL))
    splits = load(None)
    assert digests(splits) == digests(load(write_snli(tmp_path, ALL)))
    assert splits.origin == "hub stanfordnlp/snli"


def test_dev_and_test_do_not_depend_on_the_pool(tmp_path: Path) -> None:
    folder = write_pools(write_snli(tmp_path, ALL))
    assert len({digests(load(folder, pool))[:2] for pool in snli.Snli.train_pools}) == 1
    assert len({digests(load(folder, pool))[2] for pool in snli.Snli.train_pools}) == 5


@pytest.mark.parametrize(
    ("pool", "premises"),
    [
        ("cad", {'original says "hello".': 1, 'revised_combined says "hello".': 1}),
        ("sick", {'A "train" dog': 1, 'A "trial" dog': 1, 'A "test_annotated" dog': 1}),
    ],
)
def test_a_small_pool_holds_its_files_without_dev_and_test_pairs(
    tmp_path: Path, pool: str, premises: dict[str, int]
) -> None:
    """Each file also repeats a test pair, in capitals or unchanged; those pairs are dropped."""
    splits = load(write_pools(write_snli(tmp_path)), pool)
    assert Counter(example.fields["premise"] for example in splits.train) == premises
    assert {example.label for example in splits.train} == {0}
    assert splits.train_pool == pool


def test_the_dev_pool_shares_no_premise_with_our_dev(tmp_path: Path) -> None:
    """Drop all pairs of a premise of our dev.

    The dev file has three hypotheses for each premise, so two of them may be outside our dev.
    """
    splits = load(write_snli(tmp_path), "snli-dev")
    judged = {example.fields["premise"] for example in splits.dev}
    trained = Counter(example.fields["premise"] for example in splits.train)
    assert not judged & trained.keys()
    assert set(trained.values()) == {3}
    assert len(trained) == SIZE - len(judged) > 0


@pytest.mark.parametrize("change", [str.upper, str])
def test_a_training_pair_with_a_test_premise_is_dropped(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    folder = write_pools(write_snli(tmp_path))
    premise = change(pairs("test", SIZE)[SIZE - 1]["sentence1"])
    before = len(load(folder, "cad").train)
    with (folder / "NLI" / "original" / "train.tsv").open("a", encoding="utf-8") as file:
        for new in (premise, "A premise of its own."):
            file.write(f"{new}\tA hypothesis of its own.\tneutral\n")
    train = load(folder, "cad").train
    assert len(train) == before + 1
    assert "A premise of its own." in {example.fields["premise"] for example in train}


def test_small_is_the_three_together(tmp_path: Path) -> None:
    folder = write_pools(write_snli(tmp_path))
    ids = {}
    for pool in ("cad", "sick", "snli-dev", "small"):
        ids[pool] = {example.id for example in load(folder, pool).train}
    assert ids["small"] == ids["cad"] | ids["sick"] | ids["snli-dev"]
    assert len(ids["small"]) == 2 + 3 + len(ids["snli-dev"])


def test_only_the_files_of_the_pool_are_read(tmp_path: Path) -> None:
    folder = write_pools(write_snli(tmp_path))
    (folder / "sick2014" / "SICK_train.txt").write_bytes(b"\xff broken")
    assert len(load(folder, "cad").train) == 2
    with pytest.raises(UsageError, match=r"SICK_train\.txt does not hold what its name says"):
        load(folder, "sick")


def test_a_missing_training_file_names_the_way_out(tmp_path: Path) -> None:
    folder = write_snli(tmp_path)
    with pytest.raises(
        UsageError, match=r"no complete snli_1\.0_train\.jsonl in the folder .*--train-pool small"
    ):
        load(folder)


def test_a_missing_training_file_is_read_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_snli(tmp_path / "d")
    monkeypatch.setattr(datasets, "load_dataset", snli_hub("train"))
    splits = load(folder, hub=True)
    assert digests(splits) == digests(load(write_snli(tmp_path / "e", ALL)))
    assert splits.origin == "folder d; train: hub stanfordnlp/snli"
    monkeypatch.setattr(datasets, "load_dataset", Hub({}))
    with pytest.raises(
        UsageError,
        match=(
            r"and the hub's stanfordnlp/snli cannot be read \(.*\)\. "
            r"Fetch SNLI 1\.0, or train on .* --train-pool small"
        ),
    ):
        load(folder, hub=True)


def test_an_excerpt_of_the_training_file_is_not_taken_for_it(tmp_path: Path) -> None:
    folder = write_snli(tmp_path)
    whole = write_snli(tmp_path / "whole", ("train",)) / "snli_1.0" / "snli_1.0_train.jsonl"
    whole.rename(folder / "snli_1.0" / "snli_1.0_train_first1024.jsonl")
    with pytest.raises(UsageError, match="--train-pool small"):
        load(folder)


def test_a_shortened_training_file_is_refused(tmp_path: Path) -> None:
    folder = write_snli(tmp_path, ALL)
    path = folder / "snli_1.0" / "snli_1.0_train.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[5:]))
    with pytest.raises(
        UsageError, match=r"\(folder .*\) has 31 labelled pairs instead of 36: it is incomplete"
    ):
        load(folder)


def test_a_missing_pool_file_is_named_before_the_hub_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = snli_hub(*ALL)
    monkeypatch.setattr(datasets, "load_dataset", hub)
    with pytest.raises(
        UsageError, match=r"NLI/original/train\.tsv in the folder .*The pool 'small' needs it"
    ):
        load(write_snli(tmp_path), "small", hub=True)
    with pytest.raises(UsageError, match=r"No data folder is named .* SICK_train\.txt"):
        load(None, "sick")
    assert hub.asked == []


def test_dev_and_test_may_come_from_the_hub_and_the_pool_from_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", snli_hub("dev", "test"))
    splits = load(write_pools(tmp_path / "d"), "small", hub=True)
    assert digests(splits) == digests(load(write_pools(write_snli(tmp_path / "e")), "small"))
    assert splits.origin == "hub stanfordnlp/snli; train: folder d"
    assert load(None, "snli-dev").origin == "hub stanfordnlp/snli"


def test_without_folder_and_hub_the_sentence_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({}))
    with pytest.raises(
        UsageError,
        match=(
            r"snli_1\.0_test\.jsonl and snli_1\.0_dev\.jsonl .*"
            r"and the hub's stanfordnlp/snli cannot be read .* --data\.$"
        ),
    ):
        load(tmp_path, hub=True)
    with pytest.raises(UsageError, match=r"--data\.$"):
        load(tmp_path)


def test_a_list_may_hold_pair_ids_and_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_snli(tmp_path / "d", ALL)
    frozen = load(folder)
    (tmp_path / "mine.txt").write_text(f"test3e\ntest0c\n{frozen.test[0].id}\n")
    splits = load(folder, ids=tmp_path / "mine.txt")
    assert splits.test_name == "list-mine"
    texts = {" ".join(example.fields.values()) for example in splits.test}
    assert "test premise 3. A entailment hypothesis 3." in texts
    assert "test premise 0. A contradiction hypothesis 0." in texts
    assert digests(splits)[1:] == digests(frozen)[1:]
    (tmp_path / "bad.txt").write_text("dev3e")
    with pytest.raises(UsageError, match=r"Line 1 of .*'dev3e'"):
        load(folder, ids=tmp_path / "bad.txt")
    monkeypatch.setattr(datasets, "load_dataset", snli_hub(*ALL))
    with pytest.raises(UsageError, match="have no file names"):
        load(None, ids=tmp_path / "mine.txt")


@pytest.mark.parametrize(
    "line",
    [
        '{"gold_label": "perhaps", "sentence1": "a", "sentence2": "b"}',
        '{"gold_label": "neutral"}',
        "{",
        "[]",
        "7",
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    folder = write_snli(tmp_path, ALL)
    path = folder / "snli_1.0" / "snli_1.0_test.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], line, *lines[5:]]))
    with pytest.raises(
        UsageError,
        match=(
            r"snli_1\.0_test\.jsonl does not hold what its name says "
            r"\(line 5 is not an SNLI pair: .*\)"
        ),
    ):
        load(folder)


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    folder = write_pools(write_snli(tmp_path))
    path = folder / "NLI" / "original" / "train.tsv"
    path.write_text("sentence1\tsentence2\tgold_label\na\tb\tneutral\na\tb\n")
    with pytest.raises(
        UsageError,
        match=(r"train\.tsv does not hold what its name says \(line 3 is not a labelled pair"),
    ):
        load(folder, "cad")
    path.write_text("label\tsentence1\tsentence2\nneutral\ta\tb\n")
    with pytest.raises(UsageError, match="gold_label"):
        load(folder, "cad")


def test_too_few_pairs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Restore the real sizes and guards.
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"334 examples of label 0 are needed"):
        load(write_snli(tmp_path, ALL))
