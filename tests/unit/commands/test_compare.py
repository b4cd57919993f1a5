"""``robench compare`` on records made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from robench.cli import main
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder

SENTENCE = "Under genetic, rift is right on 2 of 3 examples and standard on 1: 33.3 points more"


@pytest.fixture
def out(tmp_path: Path, make_record: Callable[..., Record]) -> Path:
    records = RunFolder(tmp_path).records
    write_record(records / "a.json", make_record("HHF", defense="rift"))
    write_record(records / "b.json", make_record("HFF", search={"budget": 9}))
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_text_and_warning(out: Path) -> None:
    result = run("rift", "standard", "--out", out)
    assert result.exit_code == 0
    assert result.stdout.startswith(SENTENCE)
    assert "│ clean accuracy" in result.stdout
    assert "Warning: The query budgets differ: none and 9.\n" in result.stderr
    assert "Warning" not in result.stdout


def test_markdown_holds_the_warning_too(out: Path) -> None:
    result = run("rift", "standard", "--out", out, "--format", "markdown")
    assert result.stdout.startswith(f"**{SENTENCE}")
    assert "| clean accuracy" in result.stdout
    assert "> Warning: The query budgets differ: none and 9." in result.stdout


def test_json_is_one_document(out: Path) -> None:
    data = json.loads(run("rift", "standard", "--out", out, "--json").stdout)
    assert data["sentence"].startswith(SENTENCE)
    assert data["warnings"] == ["The query budgets differ: none and 9."]
    assert [each["measure"] for each in data["measures"]] == ["clean accuracy", "genetic"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rft", "standard"), "Did you mean 'rift'?"),
        (("rift", "rift"), "are the same row"),
        (("rift", "standard", "--attack", "pwws"), "Attacks that both have: genetic."),
        (("rift", "standard", "--task", "imdb"), "has no record in"),
        (("rift@seed=1", "standard"), "is no setting"),
        (("rift",), "Missing argument 'B'"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    out: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(*arguments, "--out", out)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.rstrip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_help_explains_how_rows_are_named() -> None:
    text = run("--help").stdout
    for part in ("runs-2:rift", "rift@limit=100", "'ascc(alpha=0.3)'"):
        assert part in text
