"""The user's own data from a stranger: pipes, deep values, huge cells, and tables of billions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from robench._base.errors import UsageError
from robench._base.regular_files import FACTOR
from robench.tasks.own import parquet_files
from robench.tasks.own.choose import Chosen
from robench.tasks.own.tables import read_table
from robench.tasks.own.texts import read_rows

CHOSEN = Chosen(("text",), "label", "text", ())


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_table(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < 600
    return said


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "cannot be read: it is a pipe" in refusal(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    assert "cannot be read: it is a device" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_a_file_of_terabytes_is_refused(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(3_000_000_000)
    said = refusal(tmp_path / name)
    assert "it has 3,000,000,000 bytes, and the limit is 2,000,000,000" in said
    assert f"{FACTOR}=2 raises the limit" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "more than 64 deep"),
        (b'{"a": ' + b"1" * 1_000_000 + b"}", "holds a number of 1,000,000 digits"),
        (b'{"a": 1, "a": 2}', "holds the key 'a' twice in one object"),
        (b'{"a": "\\ud800"}', "holds half a character"),
        (b'{"a": "' + b"x" * 11_000_000 + b'"}', "holds a text of 11,000,000 characters"),
        (b'{"a": 1', "is not JSON: Expecting ',' delimiter in column"),
    ],
)
def test_a_hostile_line_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + content + b"\n")
    assert said in refusal(path)
    assert f"Line 2 of {path} " in refusal(path)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 16_000_001)
    assert "line 2 has more than 16,000,000 bytes" in refusal(path)


def test_nan_is_a_missing_cell(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": NaN, "label": 1}\n{"text": "a", "label": 0}\n')
    table = read_table(tmp_path / "a.jsonl")
    rows, remarks = read_rows(table, CHOSEN, ["text"], [1, 0])
    assert rows == [({"text": "a"}, 0)]
    assert "line 1 of a.jsonl" in remarks[0]


def test_a_huge_text_is_named_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": "a", "label": 1}, {"text": "x " * 1_500_000, "label": 0}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_table(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match=r"The text in line 2 of a\.jsonl .* has 3,000,000 char"):
        read_rows(table, CHOSEN, ["text"], [1, 0])
    monkeypatch.setenv(FACTOR, "2")
    assert len(read_rows(table, CHOSEN, ["text"], [1, 0])[0]) == 2


@pytest.mark.parametrize(("name", "sign"), [("a.csv", ","), ("a.tsv", "\t")])
def test_a_first_line_of_a_million_columns_is_refused(tmp_path: Path, name: str, sign: str) -> None:
    (tmp_path / name).write_text(f"a{sign}" * 1_000_000 + "\n")
    assert "names 1,000,001 columns" in refusal(tmp_path / name)


def test_a_parquet_file_of_very_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["same"] * 3_000_000}), path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(parquet_files, "ROWS", 1_000_000)
    assert "has 3,000,000 rows, and the limit is 1,000,000" in refusal(path)


def test_a_parquet_column_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["x" * 10_000] * 10_000}), path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(parquet_files, "UNPACKED", 50_000_000)
    table = read_table(path)
    with pytest.raises(UsageError, match="bytes in the column 'text', and the limit is"):
        table.read("text")


def test_a_damaged_column_is_one_sentence(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [f"text {n}" for n in range(1000)]}), path)
    content = bytearray(path.read_bytes())
    content[20:200] = b"\xff" * 180
    path.write_bytes(bytes(content))
    table = read_table(path)
    with pytest.raises(UsageError, match="is no parquet file"):
        table.read("text")


@pytest.mark.parametrize(
    "metadata",
    [b"[" * 100_000, b'{"info": {"features": {"a": {"_type": "ClassLabel", "names": "ab"}}}}'],
)
def test_hostile_metadata_name_no_classes(metadata: bytes) -> None:
    assert parquet_files.class_names({b"huggingface": metadata}) == {}
