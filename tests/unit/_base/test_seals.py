"""Seals: digests inside files, and what they find."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from robench._base import seals
from robench._base.regular_files import Missing
from robench._base.seals import (
    BLANK,
    MARK,
    SealBroken,
    add_to_zip,
    check_sealed,
    file_sha256,
    line_seal,
    seal_file,
    seal_line,
    seal_of,
    seal_of_bytes,
    split_line,
    with_seal,
    without_seal,
)

CONTENT: dict[str, Any] = {"b": [1, 2.5, None], "a": {"x": "ü", "10": True, "9": -0.0}}


# -- JSON documents --------------------------------------------------------------------------------


def test_a_document_comes_back_without_its_seal() -> None:
    sealed = with_seal(CONTENT)
    assert list(sealed) == ["b", "a", "seal"]
    assert without_seal(json.loads(json.dumps(sealed))) == CONTENT


def test_the_seal_is_the_digest_of_the_sorted_content() -> None:
    text = '{"a":1,"b":"\\u00fc"}'
    assert seal_of({"b": "ü", "a": 1}) == hashlib.sha256(text.encode()).hexdigest()


def test_another_order_and_layout_is_the_same_content() -> None:
    sealed = dict(reversed(with_seal(CONTENT).items()))
    assert without_seal(json.loads(json.dumps(sealed, indent=3, ensure_ascii=False))) == CONTENT


def test_names_that_are_numbers_are_sealed_as_they_are_read() -> None:
    content = {"epochs": {9: "a", 10: "b"}}
    assert without_seal(json.loads(json.dumps(with_seal(content))))


def test_a_seal_that_was_there_is_replaced() -> None:
    assert with_seal({**CONTENT, "seal": "old"}) == with_seal(CONTENT)


@pytest.mark.parametrize(
    "change", [{"b": [1, 2.5]}, {"a": None}, {"c": 1}, {"seal": "0" * 64}, {"seal": None}]
)
def test_a_changed_document_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SealBroken, match="its seal does not fit its content"):
        without_seal({**with_seal(CONTENT), **change})


def test_a_document_without_a_seal_is_refused_unless_it_may_be_old() -> None:
    with pytest.raises(SealBroken, match="an earlier version of robench wrote it"):
        without_seal(CONTENT)
    assert without_seal(CONTENT, required=False) == CONTENT


@pytest.mark.parametrize("content", [[], 1, "seal", None])
def test_what_is_no_object_is_refused(content: object) -> None:
    for required in (True, False):
        with pytest.raises(SealBroken, match="it holds no JSON object"):
            without_seal(content, required=required)


def test_values_that_are_no_json_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), float("inf"), deep):
        with pytest.raises(SealBroken, match="it holds values that are never written"):
            without_seal({"a": value, "seal": "0" * 64})


def test_the_seal_of_a_line_depends_on_what_the_file_is_about() -> None:
    one = line_seal("key", {"id": "x"})
    assert len(one) == 16
    assert one == line_seal("key", {"id": "x", "seal": "anything"})
    assert one not in {line_seal("other", {"id": "x"}), line_seal("key", {"id": "y"})}


# -- binary files ----------------------------------------------------------------------------------


def sealed(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    seal_file(path)
    return path


def check(path: Path) -> None:
    with path.open("rb") as stream:
        check_sealed(stream)
        assert stream.tell() == 0


def test_a_sealed_file_differs_in_its_digits_only(tmp_path: Path) -> None:
    content = b"before" + MARK + BLANK + b"after"
    path = sealed(tmp_path / "a", content)
    digest = hashlib.sha256(content).hexdigest()
    assert path.read_bytes() == b"before" + MARK + digest.encode() + b"after"
    check(path)


@pytest.mark.parametrize("block", [1, 7, 80, 1 << 20])
@pytest.mark.parametrize("before", [0, 3, 100, 1000])
@pytest.mark.parametrize("after", [0, 5, 200])
def test_the_place_is_found_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, before: int, after: int
) -> None:
    monkeypatch.setattr(seals, "_BLOCK", block)
    path = sealed(tmp_path / "a", b"x" * before + MARK + BLANK + b"y" * after)
    check(path)


def test_the_last_mark_counts(tmp_path: Path) -> None:
    """A text inside the file may hold the mark, too."""
    path = sealed(tmp_path / "a", MARK + b"1" * 64 + MARK + BLANK)
    assert path.read_bytes().startswith(MARK + b"1" * 64 + MARK)
    check(path)


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a", random.Random(0).randbytes(40) + MARK + BLANK + b"end")
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(SealBroken):
                check(path)
        path.write_bytes(content[:place])
        with pytest.raises(SealBroken):
            check(path)
    path.write_bytes(content + b"x")
    with pytest.raises(SealBroken):
        check(path)
    path.write_bytes(content)
    check(path)


@pytest.mark.parametrize("content", [b"", b"x", MARK, MARK + b"0" * 63])
def test_a_file_without_a_place_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SealBroken, match="it has no seal"):
        seal_file(tmp_path / "a")
    with pytest.raises(SealBroken, match="it has no seal"):
        check(tmp_path / "a")


def test_a_sealed_archive_is_still_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("member", "content")
    add_to_zip(path)
    seal_file(path)
    check(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("member") == b"content"
        assert archive.comment.startswith(MARK)
    with pytest.raises(SealBroken, match="it is no zip archive without a comment"):
        add_to_zip(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all, only a text"])
def test_only_an_archive_gets_a_comment(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SealBroken, match="it is no zip archive"):
        add_to_zip(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(Missing, match="it does not exist"):
        file_sha256(tmp_path / "b")


# Lines


def test_the_seals_of_lines_are_those_of_files_on_the_disk() -> None:
    """Another seal would make every trial and every verdict that exists damaged."""
    assert line_seal("key", {"id": "a", "letter": "C"}) == "320167fd7828dfef"
    assert seal_line(b'{"id":"a"}', "key") == b'{"id":"a","seal":"2079d5fccbc88e27"}\n'


def test_a_sealed_line_comes_apart_again() -> None:
    line = seal_line(b'{"id":"a"}', "key")
    content, seal = split_line(line.removesuffix(b"\n"))
    assert (content, seal) == (b'{"id":"a"}', seal_of_bytes(content, "key"))
    assert seal_of_bytes(content, "other key") != seal
    assert seal_of_bytes(content, "key") == seal


@pytest.mark.parametrize("line", [b"", b"{}", b'{"id":"a"}', b'{"seal":"0123456789abcdef"}'])
def test_a_line_without_a_seal_at_its_end_stays_as_it_is(line: bytes) -> None:
    assert split_line(line) == (line, None)
