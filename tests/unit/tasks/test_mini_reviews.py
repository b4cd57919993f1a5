"""The task mini-reviews: its splits, its guards and a damaged installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robench import TASKS, DataSource, Splits
from robench._base.errors import RobenchError, UsageError
from robench.tasks import mini_reviews
from robench.tasks.guard import Guard


@pytest.fixture(autouse=True)
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put small files in place of the embedded ones."""
    for split, count in (("train", 30), ("dev", 8), ("test", 12)):
        lines = (
            json.dumps({"text": f"{split} film {number}", "label": number % 2})
            for number in range(count)
        )
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(mini_reviews, "_folder", lambda: tmp_path)
    monkeypatch.setattr(mini_reviews, "TEST_SIZE", 12)
    monkeypatch.setattr(Guard, "check", lambda *_: None)
    return tmp_path


def load(ids: Path | None = None, pool: str | None = None) -> Splits:
    return TASKS.get("mini-reviews")().load(DataSource(None, hub=False), ids=ids, train_pool=pool)


def test_the_splits_hold_the_rows_of_their_files() -> None:
    splits = load()
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [30, 8, 12]
    for name in ("train", "dev", "test"):
        examples = getattr(splits, name)
        assert all(example.fields["text"].startswith(name) for example in examples)
    assert all(example.id.startswith("mini-reviews/") for example in splits.test)
    assert (splits.train_pool, splits.test_name, splits.origin) == (
        "train",
        "frozen-12",
        "embedded in robench",
    )


def test_the_data_folder_is_ignored(tmp_path: Path) -> None:
    source = DataSource(tmp_path / "none", hub=True)
    assert TASKS.get("mini-reviews")().load(source).digest == load().digest


def test_dev_and_test_texts_are_dropped_from_train(embedded: Path) -> None:
    with (embedded / "train.jsonl").open("a") as file:
        for row in ({"text": "TEST  film 3", "label": 0}, {"text": "Dev film 3", "label": 1}):
            file.write(json.dumps(row) + "\n")
    assert len(load().train) == 30


def test_a_list_of_ids_decides_the_test_examples(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text(load().test[2].id)
    splits = load(tmp_path / "few.txt")
    assert [example.id for example in splits.test] == [load().test[2].id]
    assert splits.test_name == "list-few"
    (tmp_path / "few.txt").write_text("nothing")
    with pytest.raises(UsageError, match="names no test example"):
        load(tmp_path / "few.txt")


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(UsageError, match="no training pool 'small'"):
        load(pool="small")


@pytest.mark.parametrize(
    "content", ["{", '{"text": "no label"}', '{"text": "x", "label": "good"}', None]
)
def test_a_damaged_embedded_file_asks_to_install_again(embedded: Path, content: str | None) -> None:
    path = embedded / "dev.jsonl"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(
        RobenchError,
        match=r"robench's own file .*dev\.jsonl cannot be read .*\. Install robench again\.",
    ) as caught:
        load()
    assert caught.value.exit_code == 1


def test_the_task_describes_itself() -> None:
    task = TASKS.get("mini-reviews")
    assert (task.labels, task.attackable, task.max_tokens, task.substitutions, task.synthetic) == (
        ("negative", "positive"),
        "text",
        64,
        "mini",
        True,
    )


def test_the_embedded_data_pass_their_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    # Restore the real files, size and guards.
    monkeypatch.undo()
    splits = load()
    assert [len(splits.dev), len(splits.test)] == [400, 1000]
    assert len(splits.train) >= 2000
    assert sum(example.label for example in splits.test) == 500
    assert len({example.fields["text"] for example in splits.test}) == 1000
    assert splits.digest == mini_reviews.TEST_GUARD.digest


def test_embedded_data_that_differ_from_the_guard_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(
        mini_reviews, "TEST_GUARD", Guard((500, 500), "0" * 64, mini_reviews.TEST_GUARD.blocks)
    )
    with pytest.raises(UsageError, match="The test examples of mini-reviews come from other data"):
        load()
