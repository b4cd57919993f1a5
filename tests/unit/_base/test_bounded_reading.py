"""Reading text, lines, JSON and TOML of strangers within bounds."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from robench._base.bounded_reading import (
    DOCUMENT,
    Bounds,
    Missing,
    Unreadable,
    json_lines,
    parse_json,
    raw_lines,
    read_bytes,
    read_json,
    read_stream,
    read_text,
    read_toml,
    stream_lines,
)

SMALL = Bounds(size=200, line=20, text=30, depth=4, digits=20)


def reason_of(content: str | bytes, bounds: Bounds = DOCUMENT) -> str:
    with pytest.raises(Unreadable) as caught:
        parse_json(content, "x.json", bounds)
    assert str(caught.value) == f"'x.json' cannot be read: {caught.value.reason}."
    return caught.value.reason


@pytest.mark.parametrize("value", [None, True, 1, -2.5, "ä", [1, [2]], {"a": {"b": []}}, 2**63])
def test_what_json_writes_is_read(value: Any) -> None:
    assert parse_json(json.dumps(value), "x") == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), "x") == value


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert read_json(tmp_path / "a") == {"a": 1}
    assert list(json_lines(tmp_path / "a")) == [(1, {"a": 1})]
    (tmp_path / "b").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(tmp_path / "b") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[1] 2", "it is not JSON"),
        ("{'a': 1}", "it is not JSON"),
        ('"\x00"', "it is not JSON"),
        ("NaN", "it holds NaN, which is no number"),
        ("[-Infinity]", "it holds -Infinity, which is no number"),
        ("1e999", "it holds 1e999, which is no finite number"),
        ('{"a": 1, "b": {"c": 2, "c": 3}}', "it holds the key 'c' twice in one object"),
        (r'"\ud800"', r"it holds half a character (the lone surrogate \ud800)"),
        (r'{"a\udfff": 1}', r"it holds half a character (the lone surrogate \udfff)"),
        (b'["\xff"]', "it is not UTF-8 text (byte 0xff in line 1)"),
        ('"a"'.encode("utf-16"), "it is not UTF-8 text (byte 0xff in line 1)"),
        (b'"\xed\xa0\x80"', "it is not UTF-8 text (byte 0xed in line 1)"),
    ],
)
def test_what_is_no_strict_json_is_refused(content: str | bytes, reason: str) -> None:
    assert reason_of(content).startswith(reason)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse_json(r'"\ud83d\ude00"', "x") == "\U0001f600"


@pytest.mark.parametrize("number", ["1" * 1_000_000, "-" + "1" * 5000, "0." + "1" * 100_000])
def test_a_number_of_thousands_of_digits_is_refused(number: str) -> None:
    assert reason_of(f'{{"a": {number}}}') == f"it holds a number of {len(number):,} digits"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [65, 900, 5_000, 100_000])
def test_deep_nesting_is_refused(opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    content = opening * depth + "1" + closing * depth
    assert "more than 64 deep" in reason_of(content)
    assert "more than 64 deep" in reason_of(opening * depth) or "not JSON" in reason_of(
        opening * depth
    )


def test_the_depth_itself_is_allowed() -> None:
    assert parse_json("[[[[1]]]]", "x", SMALL) == [[[[1]]]]
    assert "more than 4 deep" in reason_of("[[[[[1]]]]]", SMALL)


def test_a_long_string_is_refused_also_as_a_key() -> None:
    assert parse_json(json.dumps("x" * 30), "x", SMALL) == "x" * 30
    for content in (json.dumps("x" * 31), json.dumps({"x" * 31: 1})):
        assert "it holds a text of 31 characters, and the limit is 30" in reason_of(content, SMALL)


def test_a_file_that_grows_after_it_was_opened_is_bounded() -> None:
    with pytest.raises(Unreadable, match="more than 200 bytes"):
        read_stream(BytesIO(b"x" * 201), "standard input", SMALL)
    assert read_stream(BytesIO(b"x" * 200), "standard input", SMALL) == b"x" * 200


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "a") == "a\r\nb\rc\n"
    assert read_bytes(tmp_path / "a") == b"a\r\nb\rc\n"


def test_the_line_of_a_bad_byte_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\nb\n\xe4\n")
    with pytest.raises(Unreadable, match="byte 0xe4 in line 3"):
        read_text(tmp_path / "a")


def test_missing_files_are_told_apart(tmp_path: Path) -> None:
    for read in (read_bytes, read_text, read_json, read_toml):
        with pytest.raises(Missing):
            read(tmp_path / "a")
    for each in (json_lines, raw_lines):
        with pytest.raises(Missing):
            list(each(tmp_path / "a"))


def test_lines_are_read_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\n" + b"x" * 20 + b"\n" + b"x" * 21 + b"\nlast")
    assert list(raw_lines(tmp_path / "a", SMALL)) == [b"one", b"", b"x" * 20, None, b"last"]


@pytest.mark.parametrize("length", [21, 22, 41, 42, 43, 63, 100])
def test_a_line_that_is_too_long_is_one_line(length: int) -> None:
    for end in (b"\n", b""):
        found = list(stream_lines(BytesIO(b"a\n" + b"x" * length + end), "x", SMALL))
        assert found == [(b"a", True), (None, True)]


def test_a_stream_of_lines_is_bounded_as_a_whole() -> None:
    with pytest.raises(Unreadable, match="more than 200 bytes"):
        list(stream_lines(BytesIO(b"x\n" * 101), "x", SMALL))


def test_json_lines_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b'{"a": 1}\r\n\n  \n[2]')
    assert list(json_lines(path)) == [(1, {"a": 1}), (4, [2])]
    path.write_bytes(b'{"a": 1}\n{"a": NaN}\n')
    with pytest.raises(Unreadable, match="line 2 holds NaN, which is no number"):
        list(json_lines(path))
    path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(Unreadable, match=r"line 2 is not UTF-8 text \(byte 0xff\)"):
        list(json_lines(path))
    path.write_bytes(b'{"a": 1}\n' + b"x" * 21)
    with pytest.raises(Unreadable, match="line 2 has more than 20 bytes"):
        list(json_lines(path, SMALL))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a = ", "it is not valid TOML"),
        ("a = 1\na = 2", "it is not valid TOML"),
        ("a = nan", "it holds nan, which is no finite number"),
        ("a = -inf", "it holds -inf, which is no finite number"),
        ("a = " + "1" * 5000, "it holds a number of thousands of digits"),
        ("a = " + "1" * 500, "it holds a number of more than 64 digits"),
        ("a = 0x" + "f" * 5000, "it holds a number of more than 64 digits"),
        ("a = " + "[" * 4500 + "]" * 4500, "it nests lists or objects more than 16 deep"),
        ("a = " + "[" * 17 + "]" * 17, "it nests lists or objects more than 16 deep"),
        (".".join("a" * 20) + " = 1", "it nests lists or objects more than 16 deep"),
        ("a = '" + "x" * 10_000 + "'", "line 1 has 10,006 characters, and the limit is 10,000"),
    ],
)
def test_hostile_toml_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.toml").write_text(content)
    with pytest.raises(Unreadable) as caught:
        read_toml(tmp_path / "a.toml")
    assert caught.value.reason.startswith(reason)


def test_toml_is_read_as_before(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'a = 1\r\nb = [1.5, "x"]\r\n[c]\r\nd = 2020-01-01\r\n')
    assert list(read_toml(tmp_path / "a.toml")) == ["a", "b", "c"]
