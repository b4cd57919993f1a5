"""Tests of the texts of a test set in a run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robench._base.errors import RobenchError
from robench.records.test_set import TestSet, read_test_set, write_test_set
from robench.tasks.example import Example
from robench.tasks.frozen import digest

EXAMPLES = [
    Example("toy/1", {"premise": 'Un café\u2028et un "thé"', "hypothesis": "a\tb"}, 1),
    Example("toy/2", {"premise": "two\nlines", "hypothesis": ""}, 0),
]
TEST_SET = TestSet("toy", digest(EXAMPLES), ("no", "yes"), "hypothesis", EXAMPLES)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "examples" / "toy.jsonl"
    write_test_set(path, TEST_SET)
    assert read_test_set(path, TEST_SET.digest) == TEST_SET
    assert TEST_SET.by_id["toy/2"] is EXAMPLES[1]


def test_every_example_is_one_line_of_json_with_the_name_of_its_label(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert json.loads(lines[1]) == {
        "id": "toy/1",
        "label": "yes",
        "fields": {"premise": 'Un café\u2028et un "thé"', "hypothesis": "a\tb"},
    }
    assert "café" in lines[1]
    assert len(lines) == 3


def test_a_file_that_says_the_same_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    before = path.stat()
    write_test_set(path, TEST_SET)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    path.write_bytes(b"\xff\0 damaged")
    write_test_set(path, TEST_SET)
    assert read_test_set(path, TEST_SET.digest) == TEST_SET


def test_a_missing_file_is_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    with pytest.raises(RobenchError) as caught:
        read_test_set(path, TEST_SET.digest)
    assert str(caught.value) == (
        f"The texts of the examples are missing: there is no {path}. Runs of older versions did "
        "not keep them. Run that evaluation again, which writes the texts."
    )


DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "half a line": lambda text: text[:-20],
    "a line is missing": lambda text: text.rsplit("\n", 2)[0] + "\n",
    "another word": lambda text: text.replace("café", "cafe"),
    "another label": lambda text: text.replace('"label": "yes"', '"label": "no"'),
    "a label that does not exist": lambda text: text.replace('"label": "yes"', '"label": "maybe"'),
    "the labels in another order": lambda text: text.replace('["no", "yes"]', '["yes", "no"]'),
    "a list": lambda _: "[1, 2]\n",
    "no fields": lambda text: text.replace('"fields"', '"columns"'),
    "a number": lambda _: "7\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_told(tmp_path: Path, damage: Callable[[str], str]) -> None:
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RobenchError, match=r"toy\.jsonl is damaged: .* Run that evaluation again"):
        read_test_set(path, TEST_SET.digest)


def test_the_texts_of_another_test_set_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    with pytest.raises(RobenchError, match="damaged"):
        read_test_set(path, "0" * 64)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RobenchError, match="it is not UTF-8 text"):
        read_test_set(path, TEST_SET.digest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"attackable": "hypothesis"', '"attackable": "premise"'),
        ('"task": "toy"', '"task": "tot"'),
        ('"labels": ["no", "yes"]', '"labels": ["no", "yes", "x"]'),
    ],
)
def test_a_changed_first_line_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """The digest covers the examples alone."""
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")
    with pytest.raises(RobenchError, match="is damaged"):
        read_test_set(path, TEST_SET.digest)


def test_the_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    write_test_set(path, TEST_SET)
    header, rest = path.read_text(encoding="utf-8").split("\n", 1)
    old = {name: value for name, value in json.loads(header).items() if name != "seal"}
    path.write_text(f"{json.dumps(old)}\n{rest}", encoding="utf-8")
    assert read_test_set(path, TEST_SET.digest) == TEST_SET
