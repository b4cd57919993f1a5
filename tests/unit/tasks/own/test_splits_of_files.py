"""One file, several files, given victims, lists of ids: which row goes where."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from own_data import load, reviews, write_rows

from robench import Splits
from robench._base.errors import UsageError
from robench.tasks.checks import check_splits
from robench.tasks.frozen import content_key


def texts(splits: Splits, *parts: str) -> set[str]:
    return {example.fields["text"] for part in parts for example in getattr(splits, part)}


def told(splits: Splits) -> str:
    return "\n".join(splits.remarks)


def test_one_file_is_split_into_three(tmp_path: Path) -> None:
    task, splits = load(write_rows(tmp_path / "films.csv", reviews(100)))
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (72, 8, 20)
    assert Counter(example.label for example in splits.test) == {0: 10, 1: 10}
    assert all(example.id.startswith("data/") for example in splits.test)
    assert (splits.origin, splits.test_name) == ("file films.csv", "frozen-20")
    assert (task.labels, task.fields, task.attackable) == (
        ("negative", "positive"), ("text",), "text",
    )  # fmt: skip
    assert "films.csv is split by a rule over its texts" in told(splits)
    check_splits("films.csv", task, splits)


def test_at_most_a_thousand_are_judged(tmp_path: Path) -> None:
    _, splits = load(write_rows(tmp_path / "films.csv", reviews(12_000)))
    assert (len(splits.test), len(splits.dev)) == (1000, 1000)
    assert Counter(example.label for example in splits.dev) == {0: 500, 1: 500}


def test_a_rare_label_gives_what_it_has(tmp_path: Path) -> None:
    rows = reviews(100) + [{"text": f"odd {n}", "label": "odd"} for n in range(4)]
    _, splits = load(write_rows(tmp_path / "films.csv", rows))
    assert Counter(example.label for example in splits.test) == {0: 10, 1: 1, 2: 10}
    assert Counter(example.label for example in splits.dev)[1] == 1


def test_a_label_with_too_few_texts_is_refused(tmp_path: Path) -> None:
    rows = reviews(100) + [{"text": f"odd {n % 2}", "label": "odd"} for n in range(4)]
    with pytest.raises(UsageError, match=r"Label 'odd' of films.csv has 2 different texts"):
        load(write_rows(tmp_path / "films.csv", rows))


def test_names_of_files_and_order_of_rows_change_nothing(tmp_path: Path) -> None:
    rows = reviews(60)
    _, first = load(write_rows(tmp_path / "a.csv", rows))
    random.Random(1).shuffle(rows)
    _, second = load(write_rows(tmp_path / "b.jsonl", rows))
    assert (first.digest, first.training_digests) == (second.digest, second.training_digests)


def test_the_same_text_is_never_in_two_parts(tmp_path: Path) -> None:
    rows = reviews(60) + [row | {"text": str(row["text"]).upper()} for row in reviews(60)]
    task, splits = load(write_rows(tmp_path / "a.csv", rows))
    keys = [
        {content_key(each) for each in part} for part in (splits.train, splits.dev, splits.test)
    ]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]
    assert not keys[0] & keys[2]
    assert len(splits.test) == 12
    check_splits("a.csv", task, splits)


def test_a_text_with_two_labels_is_not_judged_and_is_told(tmp_path: Path) -> None:
    rows = [{"text": "same", "label": "negative"}, {"text": "Same", "label": "positive"}]
    _, splits = load(write_rows(tmp_path / "a.csv", reviews(60) + rows))
    assert not {"same", "Same"} & texts(splits, "dev", "test")
    assert "1 text of a.csv occurs with several labels. No such text is a test example." in told(
        splits
    )


def test_a_test_file_is_judged_as_a_whole_and_its_texts_leave_training(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", reviews(60))
    judged = [*reviews(10), {"text": "new", "label": "negative"}]
    test = write_rows(tmp_path / "test.jsonl", judged)
    task, splits = load(train, test_file=test)
    assert texts(splits, "test") == {row["text"] for row in judged}
    assert not texts(splits, "test") & texts(splits, "train", "dev")
    assert (len(splits.train), len(splits.dev)) == (46, 4)
    assert "10 rows of train.csv have a text of the test set and are left out" in told(splits)
    assert splits.origin == "file train.csv, test: test.jsonl"
    check_splits("train.csv", task, splits)


def test_with_a_train_file_the_named_file_is_judged(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", reviews(60))
    test = write_rows(
        tmp_path / "test.csv", [{"text": f"t{n}", "label": "positive"} for n in range(9)]
    )
    _, splits = load(test, train_file=train)
    _, other = load(train, test_file=test)
    assert splits.digest == other.digest
    assert splits.training_digests == other.training_digests


def test_a_dev_file_is_used(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.csv", reviews(60))
    dev = write_rows(
        tmp_path / "dev.csv",
        [{"text": f"d{n}", "label": row["label"]} for n, row in enumerate(reviews(8))],
    )
    _, splits = load(one, dev_file=dev)
    assert texts(splits, "dev") == {f"d{n}" for n in range(8)}
    assert (len(splits.train), len(splits.test)) == (48, 12)


def test_a_long_test_file_is_cut_to_a_thousand_aloud(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", reviews(60))
    rows = [{"text": f"t{n}", "label": ("negative", "positive")[n % 3 == 0]} for n in range(1500)]
    _, splits = load(train, test_file=write_rows(tmp_path / "test.csv", rows))
    assert Counter(example.label for example in splits.test) == {0: 500, 1: 500}
    assert "1,000 of the 1,500 rows of test.csv are judged." in told(splits)


def test_without_training_the_whole_file_is_judged(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", reviews(60))
    task, splits = load(path, training=False)
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (0, 0, 60)
    assert "All rows of a.csv are test examples; none is for training. If a victim" in told(splits)
    check_splits("a.csv", task, splits, training=False)


def test_a_list_of_ids_chooses_the_test_examples(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", reviews(60))
    _, frozen = load(path)
    wanted = sorted(example.id for example in frozen.train)[:5]
    ids = tmp_path / "mine.txt"
    ids.write_text("\n".join(wanted))
    task, splits = load(path, ids=ids)
    assert [example.id for example in splits.test] == wanted
    assert splits.test_name == "list-mine"
    assert not {example.id for example in splits.train} & set(wanted)
    check_splits("a.csv", task, splits)


def test_both_files_leave_no_use_for_the_named_one(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", reviews())
    with pytest.raises(UsageError, match="leave no use for --task"):
        load(path, train_file=path, test_file=path)


def test_pairs_have_two_fields(tmp_path: Path) -> None:
    rows = [
        {"premise": f"A man {n}.", "hypothesis": f"A man {label}.", "gold_label": label}
        for n in range(10)
        for label in ("entailment", "neutral", "contradiction")
    ]
    task, splits = load(write_rows(tmp_path / "pairs.jsonl", rows))
    assert (task.fields, task.attackable) == (("premise", "hypothesis"), "hypothesis")
    assert task.labels == ("contradiction", "entailment", "neutral")
    assert tuple(splits.test[0].fields) == ("premise", "hypothesis")
    task, _ = load(tmp_path / "pairs.jsonl", attack="premise")
    assert task.attackable == "premise"
    check_splits("pairs.jsonl", task, splits)


def test_a_text_beside_pairs_is_refused(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.csv", reviews())
    pair = write_rows(tmp_path / "pair.csv", [{"premise": "p", "hypothesis": "h", "label": "a"}])
    with pytest.raises(UsageError, match="different numbers of texts"):
        load(one, test_file=pair)


def test_fields_and_labels_of_another_task_can_be_asked_for(tmp_path: Path) -> None:
    rows = [{"s1": "p", "s2": "h", "label": "Neutral"}]
    path = write_rows(tmp_path / "pair.csv", rows)
    task, splits = load(
        path,
        training=False,
        text="s1",
        pair="s2",
        fields=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
    )
    assert dict(splits.test[0].fields) == {"premise": "p", "hypothesis": "h"}
    assert task.labels[splits.test[0].label] == "neutral"
    with pytest.raises(UsageError, match="has the fields premise, hypothesis"):
        load(path, training=False, text="s1", fields=("premise", "hypothesis"))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("one<br>two<br/>three<BR />four<br />five", "one two three four five"),
        ("\ufeffFirst", "First"),
        ("a\xa0b\r\n c", "a b c"),
        ("<brand> stays", "<brand> stays"),
    ],
)
def test_texts_are_cleaned(text: str, cleaned: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": text, "label": "positive"}]
    _, splits = load(write_rows(tmp_path / "a.jsonl", rows), training=False)
    assert splits.test[0].fields["text"] == cleaned


def test_rows_without_a_text_are_left_out_aloud(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = reviews(60)
    rows[2]["text"], rows[7]["text"] = " <br /> ", None
    _, splits = load(write_rows(tmp_path / "a.jsonl", rows), training=False)
    assert len(splits.test) == 58
    assert (
        "2 rows of a.jsonl have an empty text and are left out; the first is line 3 of a.jsonl."
        in told(splits)
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "does not hold texts: line 2 of a.jsonl has '7', a int"),
        (["a"], "a list"),
        (
            "half \ud83d",
            r"Line 2 of .*a\.jsonl holds half a character \(the lone surrogate \\ud83d\)",
        ),
    ],
)
def test_a_cell_that_is_no_text_is_refused(value: Any, said: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = reviews(4)
    rows[1]["text"] = value
    with pytest.raises(UsageError, match=said):
        load(write_rows(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    ("words", "window"), [(5, 32), (20, 32), (21, 64), (90, 128), (200, 512), (5000, 512)]
)
def test_the_window_fits_95_percent_of_the_texts(words: int, window: int, tmp_path: Path) -> None:
    long = [{"text": "word " * words + str(n), "label": "ab"[n % 2]} for n in range(40)]
    longest = [{"text": "word " * 9000 + str(n), "label": "ab"[n]} for n in range(2)]
    path = write_rows(tmp_path / "a.csv", long + longest)
    task, splits = load(path)
    assert task.max_tokens == window
    assert f"The window is {window} tokens" in told(splits)
    task, splits = load(path, max_tokens=48)
    assert task.max_tokens == 48
    assert "The window is" not in told(splits)


def test_the_substitution_set_is_the_published_one_unless_another_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", reviews())
    assert load(path)[0].substitutions == "counterfitted"
    assert load(path, substitutions="mini")[0].substitutions == "mini"


def test_every_row_without_a_text_leaves_nothing(tmp_path: Path) -> None:
    rows = [{"text": " ", "label": "a"}, {"text": "", "label": "b"}]
    with pytest.raises(UsageError, match=r"No row of a.csv has a text and a label. 2 rows"):
        load(write_rows(tmp_path / "a.csv", rows))
