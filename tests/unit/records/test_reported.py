"""The reader of reported numbers: what it takes, and the one sentence about each bad file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reported_cases import reported_file

from robench._base.errors import UsageError
from robench.records.reported import load_reported, parse_printed

GOOD = reported_file(
    "A paper",
    "A note.",
    """\
    { printed = "Ours", defense = "rift", options = { on = false }, values = ["80", "60.25"] },""",
)


def written(folder: Path, text: str) -> Path:
    path = folder / "reported.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_gives_every_number_with_its_source(tmp_path: Path) -> None:
    reported = load_reported(written(tmp_path, GOOD))
    numbers = list(reported.numbers())
    assert [number.source for number in numbers] == [
        "P, Table 1, row Base, column Clean",
        "P, Table 1, row Base, column PWWS",
        "P, Table 1, row Ours, column Clean",
        "P, Table 1, row Ours, column PWWS",
    ]
    assert [(n.printed, n.value, n.spread) for n in numbers] == [
        ("90.0", 90.0, None),
        ("20.5 ± 1.5", 20.5, 1.5),
        ("80", 80.0, None),
        ("60.25", 60.25, None),
    ]
    assert [number.column.examples for number in numbers] == [None, 10, None, 10]
    assert numbers[3].row.options == {"on": False}
    assert numbers[0].table.encoder == "bert"
    assert reported.stand_ins == {"toy": "imdb"}


@pytest.mark.parametrize(
    ("text", "value", "spread"),
    [("0", 0, None), ("100", 100, None), ("77.2 ± 0.8", 77.2, 0.8), ("9.125", 9.125, None)],
)
def test_printed_numbers(text: str, value: float, spread: float | None) -> None:
    assert parse_printed(text) == (value, spread)


@pytest.mark.parametrize(
    "text",
    ["", " 77.2", "77.2 ", "77,2", "-1", "1e1", "nan", "77.2±0.8", "77.2 +- 0.8", "77.2%", "٣٤"],
)
def test_what_no_paper_prints_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no accuracy as a paper prints it, such as"):
        parse_printed(text)


@pytest.mark.parametrize("text", ["100.1", "101", "50 ± 100.5", "999"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"'{text}' is not in [0, 100]")):
        parse_printed(text)


WRONG = [
    ('["90.0", "20.5 ± 1.5"]', '["90.0", "120.5"]', "'120.5' is not in [0, 100]"),
    ('["90.0", "20.5 ± 1.5"]', "[90.0, 20.5]", "input should be a valid string"),
    ('["90.0", "20.5 ± 1.5"]', '["90.0"]', "row 'Base' of Table 1 has 1 values for 2 columns"),
    ('printed = "Ours"', 'printed = "Base"', "the row of Table 1 'Base' stands 2 times"),
    ('"PWWS"', '"Clean"', "the column of Table 1 'Clean' stands 2 times"),
    ('name = "Q"', 'name = "P"', "the paper 'P' stands 2 times"),
    ('paper = "P"\nsource = "Table 1"', 'paper = "R"\nsource = "Table 1"', "there is no paper 'R'"),
    ('source = "Table 1"\n', "", "field required"),
    ('encoder = "bert"\n', "", "field required"),
    ('where = "main paper"', 'where = "a blog"', "input should be 'main paper', 'supplement'"),
    ("examples = 10", "examples = 0", "input should be greater than or equal to 1"),
    ("examples = 10", 'examples = "10"', "input should be a valid integer"),
    ("examples = 10", "examples = 10.5", "input should be a valid integer"),
    ('defense = "rift", ', "", "options need a 'defense'"),
    ('missing = "There was no text of it."\n', "", "the paper 'Q' needs either tables, or a"),
    ('notes = ["A note."]', 'missing = "None."', "the paper 'P' needs either tables, or a"),
    ('task = "imdb"\nencoder', 'task = "imdb"\nextra = 1\nencoder', "extra inputs are not"),
    ("https://example.org/p", "javascript:alert(1)", "string should match pattern"),
    ('page = "page.md"', 'page = "/etc/passwd"', "string should match pattern"),
    ('page = "page.md"', 'page = "/tmp/page.md"', "string should match pattern"),
    ('epochs = "20"', "epochs = 20", "input should be a valid string"),
    ('paper = "P"\ntask', 'paper = "R"\ntask', "there is no paper 'R' among P, Q"),
]


@pytest.mark.parametrize(("old", "new", "reason"), WRONG)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_reported(path)
    message = str(caught.value)
    assert message.startswith(f"The reported numbers {path}: ")
    assert reason in message
    assert "\n" not in message
    assert message.endswith(".")
    assert not message.endswith("..")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("papers = ", "it is not valid TOML"),
        ("a = nan", "which is no finite number"),
        ("a = [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "deep"),
    ],
)
def test_what_is_no_toml_gets_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=r"^Cannot read the reported numbers .*\.$") as caught:
        load_reported(path)
    assert reason in str(caught.value)


def test_a_missing_file_and_a_folder_get_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UsageError, match=r"^Cannot read the reported numbers .*\.$"):
            load_reported(path)


def test_an_empty_file_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'papers': field required"):
        load_reported(written(tmp_path, ""))


def test_a_long_text_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("A note.", "x" * 501)
    with pytest.raises(UsageError, match="at most 500 characters"):
        load_reported(written(tmp_path, text))


def test_the_sentence_names_the_table(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("20.5 ± 1.5", "205"))
    with pytest.raises(UsageError) as caught:
        load_reported(path)
    assert "'tables.0.rows.0.values' (Table 1): '205' is not in [0, 100]." in str(caught.value)


@pytest.mark.parametrize("text", ["tables = [1]", "[[tables]]\nsource = 1", "tables = 1"])
def test_a_table_without_a_source_has_no_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"^The reported numbers .*\.$") as caught:
        load_reported(written(tmp_path, text))
    assert "\n" not in str(caught.value)
