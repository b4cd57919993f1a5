"""Tests of ``robench examples``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from trial_runs import TEST_SET, TRIALS, write_run

from robench.cli import main
from robench.commands.trial_view import coloured_lines
from robench.records.run_folder import RunFolder
from robench.records.trial_plain import plain_view
from robench.records.trial_texts import join_trials
from robench.search.attack import Trial


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["examples", *map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_run(folder)
    return folder


GOLDEN = """\
fooled: positive (0.98) -> negative (0.61) (1 word changed, 12 queries)
  He said:  "a [[good->fine]] film", didn't he?
  standard under genetic on toy, seed 0; toy/1

fooled: negative -> positive (2 words changed, 40 queries)
  I can[[not-> hardly]] like <b>this</b> [[dull->slow]] film.
  standard under genetic on toy, seed 0; toy/2

held: positive (0.60) -> positive (0.55) (1 word changed, 3 queries)
  A [[good->fair]], good thing
  note: the attack claimed a success, but the victim is right on the returned text
  standard under genetic on toy, seed 0; toy/5

held-proved: negative (0.90) (no word of it may be replaced)
  Nothing here works .
  standard under genetic on toy, seed 0; toy/4

wrong: positive is the label, negative (0.70) is predicted for the original text \
(not attacked, because the victim is wrong on the original text)
  =SUM(A1) is fine & good
  standard under genetic on toy, seed 0; toy/3
"""


def test_the_telling_examples_are_printed_with_marks(run: Path) -> None:
    result = call(run)
    assert (result.exit_code, result.stdout) == (0, GOLDEN)
    assert "1 cell with 6 trials, 2 of them fooled. Shown: 5." in result.stderr


def test_quiet_prints_the_examples_alone(run: Path) -> None:
    result = call(run, "--quiet", "--limit", 1)
    assert result.stderr == ""
    assert result.stdout == GOLDEN.split("\n\n")[0] + "\n"


def test_a_terminal_gets_colours_and_marks_without_colours(run: Path) -> None:
    record_trials = join_trials(RunFolder(run), write_run(run))
    lines = coloured_lines(record_trials[0])
    assert lines[1].plain == '  He said:  "a good→fine film", didn\'t he?'
    styles = {lines[1].plain[span.start : span.end]: span.style for span in lines[1].spans}
    assert styles["good"] == "red strike"
    assert styles["fine"] == "bold green underline"
    assert lines[0].plain.startswith("fooled: positive (0.98) -> negative (0.61)")


def test_a_text_that_looks_like_markup_stays_as_it_is(run: Path) -> None:
    record_trials = join_trials(RunFolder(run), write_run(run))
    assert "<b>this</b>" in plain_view(record_trials)
    assert "<b>this</b>" in coloured_lines(record_trials[1])[1].plain


def test_filters(run: Path) -> None:
    assert call(run, "--verdict", "wrong", "--quiet").stdout.startswith("wrong:")
    assert call(run, "--id", "4", "--quiet").stdout.startswith("held-proved:")
    assert call(run, "--label", "negative", "--quiet").stdout.count("toy/") == 3
    for arguments in (("--defense", "standard"), ("--row", "standard"), ("--attack", "genetic")):
        assert call(run, *arguments).exit_code == 0


def test_an_empty_choice_is_said(run: Path) -> None:
    result = call(run, "--id", "1", "--verdict", "wrong")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No trial passes the filters." in result.stderr


def test_json_is_one_document_of_all_trials(run: Path) -> None:
    rows = json.loads(call(run, "--json").stdout)
    assert [row["id"] for row in rows] == ["toy/1", "toy/2", "toy/5", "toy/4", "toy/3", "toy/6"]


def test_exports(run: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call(run, "--format", "csv").stdout)))
    assert len(rows) == 6
    lines = call(run, "--format", "jsonl", "--limit", 2).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["toy/1", "toy/2"]
    page = tmp_path / "page.html"
    assert call(run, "--output", page).exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    table = tmp_path / "table.parquet"
    assert call(run, "--output", table).exit_code == 0
    assert pq.read_table(table).num_rows == 6
    text = tmp_path / "text.txt"
    result = call(run, "--output", text, "--limit", 5)
    assert text.read_text(encoding="utf-8") == GOLDEN
    assert result.stderr.endswith(f"5 trials in {text}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere",), "There is no folder 'nowhere'."),
        (("RUN", "--attack", "pwws"), "There is no attack 'pwws' in"),
        (("RUN", "--label", "x"), "There is no label 'x'."),
        (("RUN", "--id", "x"), "No example 'x' was judged here."),
        (("RUN", "--format", "parquet"), "Name a file with --output FILE.parquet."),
        (("RUN", "--output", "x.doc"), "the ending says no format"),
        (("RUN", "--verdict", "lost"), "'lost' is not one of"),
        (("RUN", "--limit", "0"), "0"),
    ],
)
def test_wrong_input_is_one_sentence(run: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = call(*[run if each == "RUN" else each for each in arguments])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert sentence in line


def test_a_run_of_an_older_version_says_what_to_do(run: Path) -> None:
    RunFolder(run).examples_file("toy", TEST_SET.digest).unlink()
    result = call(run)
    assert result.exit_code == 1
    assert "Runs of older versions did not keep them. Run that evaluation again" in result.stderr


def test_damage_in_one_cell_is_told_and_the_others_are_shown(run: Path) -> None:
    other = write_run(run, defense="rift")
    RunFolder(run).trials_file(other.cell_name).write_bytes(b"\0damaged\n")
    result = call(run)
    assert (result.exit_code, result.stdout) == (1, GOLDEN)
    assert "are not complete: 6 of 6 trials cannot be used, the first for toy/1" in result.stderr
    assert "line 1 is damaged: " in result.stderr
    assert "Run the same 'robench evaluate' again, which makes them." in result.stderr
    assert result.stderr.endswith("Left out: 1 result. The lines above say why.\n")


def test_json_lines_are_sorted_by_row_attack_and_id(run: Path) -> None:
    write_run(run, defense="rift")
    lines = call(run, "--format", "jsonl").stdout.splitlines()
    rows = [(row["row"], row["attack"], row["id"]) for row in map(json.loads, lines)]
    assert len(rows) == 12
    assert rows == sorted(rows)


def test_an_output_that_cannot_be_written_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = call(run, "--output", tmp_path / "file" / "x.csv")
    assert result.exit_code == 1
    assert "Cannot write" in result.stderr


def test_trials_without_probabilities_are_shown(tmp_path: Path) -> None:
    trials = [
        Trial.model_validate(trial.model_dump() | {"probs": None, "adversarial_probs": None})
        for trial in TRIALS
    ]
    write_run(tmp_path, trials)
    first, _, _ = call(tmp_path, "--quiet").stdout.partition("\n")
    assert first == "fooled: positive -> negative (1 word changed, 12 queries)"
