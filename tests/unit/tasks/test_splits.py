"""Splits: their names, published lists (``--ids``) and training pools."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from robench._base.errors import UsageError
from robench.tasks import splits as splits_module
from robench.tasks.frozen import RawRow, digest, identify, make_examples
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed


def rows_of(count: int, classes: int = 2) -> list[RawRow]:
    return [({"text": f"text {number}"}, number % classes) for number in range(count)]


def test_splits_without_a_list_are_named_by_their_number() -> None:
    train, dev, test = (make_examples("t", rows_of(number)) for number in (6, 4, 2))
    splits = make_splits(train, dev, test, pool="small", ids=None, origin="here")
    assert (splits.train, splits.dev, splits.test, splits.train_pool, splits.origin) == (
        train,
        dev,
        test,
        "small",
        "here",
    )
    assert (splits.test_name, splits.digest) == ("frozen-2", digest(test))
    assert splits.remarks == ()


@pytest.mark.parametrize("stem", ["jia", "frozen-2", "frozen-1000"])
def test_a_list_never_has_the_name_of_the_frozen_examples(tmp_path: Path, stem: str) -> None:
    train, dev, test = (make_examples("t", rows_of(number)) for number in (6, 4, 2))
    path = tmp_path / f"{stem}.txt"
    path.write_text("\n".join(example.id for example in test))
    splits = make_splits(train, dev, test, pool="small", ids=path, origin="here")
    assert (splits.test_name, splits.remarks) == (f"list-{stem}", ())


def test_the_first_pool_is_the_default_and_an_unknown_one_is_refused() -> None:
    assert choose_train_pool("t", ("train", "small"), None) == "train"
    assert choose_train_pool("t", ("train", "small"), "small") == "small"
    with pytest.raises(
        UsageError, match=r"Task 't' has no training pool 'smal'. It has: train, small\."
    ):
        choose_train_pool("t", ("train", "small"), "smal")


def test_a_list_from_windows_is_read(tmp_path: Path) -> None:
    rows = rows_of(4)
    names = {f"pos/{n}.txt": identity for n, identity in enumerate(identify("t", rows))}
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfpos\\0.txt\r\npos\\2.txt\r\n\r\n")
    picked = pick_listed(path, make_examples("t", rows), names)
    assert {example.id for example in picked} == {names["pos/0.txt"], names["pos/2.txt"]}


class TestListed:
    rows = rows_of(8)
    examples = make_examples("t", rows)
    names: ClassVar = dict(
        zip((f"pos/{number}.txt" for number in range(8)), identify("t", rows), strict=True)
    )

    def write(self, folder: Path, *lines: str) -> Path:
        path = folder / "my_list.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    def test_names_and_ids_may_be_mixed(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", "", f"  {self.examples[0].id}  ", "pos/5.txt", "")
        picked = pick_listed(path, self.examples, self.names)
        assert {example.id for example in picked} == {
            self.names["pos/3.txt"],
            self.examples[0].id,
            self.names["pos/5.txt"],
        }
        assert picked == sorted(picked, key=lambda example: example.id)

    def test_only_the_first_lines_of_a_longer_list_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(splits_module, "TEST_SIZE", 2)
        path = self.write(tmp_path, "pos/6.txt", "", "pos/1.txt", "pos/0.txt", "never read")
        picked = pick_listed(path, self.examples, self.names)
        assert {example.id for example in picked} == {
            self.names["pos/6.txt"],
            self.names["pos/1.txt"],
        }
        splits = make_splits([], [], picked, pool="train", ids=path, origin="here")
        assert splits.remarks == (f"The list {path} has 4 lines; its first 2 are judged.",)

    def test_a_line_that_names_no_example_is_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", "", "pos/99.txt")
        with pytest.raises(
            UsageError, match=r"Line 3 of .*my_list\.txt \('pos/99\.txt'\) names no test example\.$"
        ):
            pick_listed(path, self.examples, self.names)

    def test_without_names_the_sentence_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="have no file names"):
            pick_listed(self.write(tmp_path, "pos/3.txt"), self.examples, {})

    def test_a_second_mention_is_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "pos/3.txt", self.names["pos/3.txt"])
        with pytest.raises(UsageError, match=r"Line 2 .* second time"):
            pick_listed(path, self.examples, self.names)

    @pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00"])
    def test_an_empty_or_binary_list_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "list").write_bytes(content)
        with pytest.raises(UsageError, match=r"is empty|not UTF-8"):
            pick_listed(tmp_path / "list", self.examples, self.names)

    def test_a_missing_list_or_a_folder_is_refused(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.txt", tmp_path):
            with pytest.raises(
                UsageError,
                match=r"The list of ids .* cannot be read: (it does not exist|it is a folder)",
            ):
                pick_listed(path, self.examples, self.names)
