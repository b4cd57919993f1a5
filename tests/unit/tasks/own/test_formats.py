"""Files as people have them: formats, encodings, separators, quotes and line ends."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_data import FORMATS, load, reviews, write_rows

from robench._base.errors import UsageError
from robench.tasks.own.tables import read_table
from robench.tasks.own.text_files import uses_quotes


def columns_of(path: Path) -> dict[str, list[Any]]:
    table = read_table(path)
    return {name: list(table.read(name)) for name in table.columns}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_splits(name: str, tmp_path: Path) -> None:
    _, expected = load(write_rows(tmp_path / "a.csv", reviews()))
    _, splits = load(write_rows(tmp_path / f"rows.{name}", reviews()))
    assert splits.digest == expected.digest
    assert splits.training_digests == expected.training_digests
    assert [example.id for example in splits.test] == [example.id for example in expected.test]


cells = st.text(
    # No program writes a lone carriage return without quotes.
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff\r"),
    max_size=12,
).filter(lambda text: not {"\t", "\n"} <= set(text))
"""A tsv cell with a tab and a line break can look like two rows without quotes; none has both."""
row_lists = st.lists(
    st.fixed_dictionaries({"text": cells, "label": st.sampled_from(["a b", "c"])}),
    min_size=2,
    max_size=8,
)


@given(rows=row_lists, rng=st.randoms(use_true_random=False))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_in_any_format_and_order(
    rows: list[dict[str, str]], rng: random.Random, tmp_path: Path
) -> None:
    rows = [
        *rows,
        *({"text": f"{n} {mark}", "label": mark} for n in range(5) for mark in ("a b", "c")),
    ]
    _, expected = load(write_rows(tmp_path / "rows.jsonl", rows))
    rng.shuffle(rows)
    for name in ("rows.csv", "rows.tsv", "rows.parquet"):
        task, splits = load(write_rows(tmp_path / name, rows))
        assert splits.digest == expected.digest
        assert splits.training_digests == expected.training_digests
        assert task.labels == ("a b", "c")


def test_blank_lines_line_ends_and_a_missing_last_newline_make_no_difference(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,label\r\n\r\nA film.,good\r\n\r\n"Two\r\nlines.",bad')
    assert columns_of(path) == {"text": ["A film.", "Two\r\nlines."], "label": ["good", "bad"]}
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "A", "label": 1}\r\n\r\n{"text": "B", "label": 0}')
    assert columns_of(path) == {"text": ["A", "B"], "label": [1, 0]}


def test_a_jsonl_line_may_hold_a_line_separator(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\u2028two", "label": 1}\n{"text": "b", "label": 0}', "utf-8")
    assert columns_of(path)["text"] == ["one\u2028two", "b"]


def test_words_that_pandas_takes_for_missing_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nNA,None\nnull,0\nnan,1\n")
    assert columns_of(path) == {"text": ["NA", "null", "nan"], "label": ["None", "0", "1"]}


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("sentence\tlabel\nplain\t1\n", False),
        ('sentence\tlabel\nhe said "so" there\t1\n', False),
        ('sentence\tlabel\n"quoted" start\t1\n', False),
        ('sentence\tlabel\n"whole"\t1\n', False),
        ('sentence\tlabel\n"open\t1\nnext"\t0\n', False),
        ('sentence\tlabel\n"he said ""so"""\t1\n', True),
        ('sentence\tlabel\r\n"two\r\nlines"\t1\r\n', True),
        ('"sentence"\t"label"\n"all"\t"1"\n', True),
    ],
)
def test_a_tsv_is_read_with_quotes_only_if_it_was_written_with_them(
    text: str, quoted: bool
) -> None:
    assert uses_quotes(text) == quoted


def test_quotes_of_glue_are_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "glue.tsv"
    path.write_text('sentence\tlabel\n"half a quote\t1\n"whole"\t0\n', "utf-8")
    assert columns_of(path)["sentence"] == ['"half a quote', '"whole"']
    assert read_table(path).remarks == ()
    path.write_text('sentence\tlabel\n"say ""so"""\t1\n', "utf-8")
    assert columns_of(path)["sentence"] == ['say "so"']
    assert "read with quotes" in " ".join(read_table(path).remarks)


def test_another_separator_is_told(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "semicolon.csv", reviews())
    assert "separated by semicolons" in " ".join(read_table(path).remarks)
    assert columns_of(path)["text"] == [row["text"] for row in reviews()]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", r"is UTF-16\. .*iconv -f UTF-16 -t UTF-8 a\.csv"),
        ("utf-16-le", r"holds zero bytes, so it is UTF-16"),
        ("utf-32", r"is UTF-32\. "),
        ("cp1252", r"is not UTF-8 \(byte 0xe9 in line 2\); cp1252 is likely\. Save it as UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_another_encoding_is_named_with_the_remedy(
    encoding: str, said: str, name: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / name, [{"text": "Ein"}, {"text": "Caf\u00e9"}][:2])
    text = "text,label\nCaf\u00e9,1\n" if name == "a.csv" else '{"x": 1}\n{"text": "Caf\u00e9"}\n'
    path.write_bytes(text.encode(encoding))
    with pytest.raises(UsageError, match=said.replace("a\\.csv", name)):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\xef\xbb\xbf \n", "is empty"),
        ("a.csv", b"text,label\n", "has no rows"),
        ("a.csv", b"text,label\nA,1\nB,1,2\n", "is no table: Expected 2 fields in line 3, saw 3"),
        ("a.csv", b'text,label\n"A,1\n', "is no table: EOF inside string"),
        ("a.csv", b"text,text,label\nA,B,1\n", "names a column twice: text"),
        ("a.jsonl", b'{"a": 1}\nA,1\n', "Line 2 of .* is not JSON"),
        ("a.jsonl", b'["a", 1]\n', "Line 1 of .* is no JSON object"),
        ("a.parquet", b"text,label\nA,1\n", "is no parquet file"),
    ],
)
def test_a_broken_file_is_one_sentence(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_table(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="is a folder"):
        read_table(tmp_path)


def test_a_parquet_file_of_the_library_datasets_keeps_its_names_of_classes(tmp_path: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["spam", "ham"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    rows = {"text": [f"message {n}" for n in range(40)], "label": [n % 2 for n in range(40)]}
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(path))
    task, splits = load(path)
    assert task.labels == ("spam", "ham")
    assert {example.fields["text"] for example in splits.test if example.label == 0} <= {
        f"message {n}" for n in range(0, 40, 2)
    }


def test_the_rows_of_a_parquet_file_may_be_of_any_type_elsewhere(tmp_path: Path) -> None:
    rows = [row | {"vector": [0.5, 1.0], "n": 3} for row in reviews()]
    task, _ = load(write_rows(tmp_path / "a.parquet", rows))
    assert task.labels == ("negative", "positive")


def test_missing_keys_of_json_objects_are_missing_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"label": 1}\n')
    assert columns_of(path) == {"text": ["a", None], "label": [None, 1]}
