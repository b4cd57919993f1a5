"""'robench verify' on records about a user's own file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from forging import OPTIONS, ForgedRun, copied
from own_data import reviews, write_rows

import robench
from robench._base.reporting import Silent
from robench.cli import main
from robench.evaluation.run import build_request, evaluate

pytestmark = pytest.mark.slow
ROWS = reviews(200)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file, whose label column has an unusual name, and a run on it."""
    folder = tmp_path_factory.mktemp("own")
    rows = [{"said": row["text"], "other": "x", "verdict": row["label"]} for row in ROWS]
    write_rows(folder / "mine.csv", rows)
    request = build_request(
        defenses=("standard",),
        attacks=("pwws",),
        tasks=(str(folder / "mine.csv"),),
        text_column="said",
        label_column="verdict",
        substitutions="mini",
        limit=10,
        options={name: value for name, value in OPTIONS.items() if name.startswith("defense")},
        device="cpu",
        workers=1,
        out=folder / "runs",
    )
    evaluate(request, Silent())
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> ForgedRun:
    """A copy of the run."""
    return copied(made / "runs", tmp_path / "runs")


def call(*words: object) -> Result:
    """Call the command line."""
    return CliRunner().invoke(main, ["verify", *map(str, words), "--quiet"])


COLUMNS = ("--text-column", "said", "--label-column", "verdict")


def test_without_its_file_the_record_stays_claimed(run: ForgedRun) -> None:
    done = call(run.root)
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "0 verified, 1 claimed, 0 failed." in said
    assert "or a file of your own data with --task and the options of its run" in said


def test_with_its_file_the_record_is_verified(made: Path, run: ForgedRun) -> None:
    done = call(run.root, "--task", made / "mine.csv", *COLUMNS, "--sample", 1)
    assert done.exit_code == 0, done.output
    assert "1 verified, 0 claimed, 0 failed." in done.stdout


@pytest.mark.parametrize("rows", [ROWS[:150], [*ROWS[:199], ROWS[0] | {"text": "Another one."}]])
def test_a_file_with_other_rows_does_not_fit(
    run: ForgedRun, tmp_path: Path, rows: Sequence[dict[str, str]]
) -> None:
    other = [{"said": row["text"], "verdict": row["label"]} for row in rows]
    done = call(run.root, "--task", write_rows(tmp_path / "mine.csv", other), *COLUMNS)
    assert "0 verified" in done.stdout, done.output


def test_a_file_with_other_test_rows_fails(run: ForgedRun, tmp_path: Path) -> None:
    other = [{"said": row["text"].upper(), "verdict": row["label"]} for row in ROWS]
    done = call(run.root, "--task", write_rows(tmp_path / "mine.csv", other), *COLUMNS)
    assert done.exit_code == 1, done.output
    said = " ".join(done.stdout.split())
    assert "task: its test examples are not those that --task gives with these options" in said


def test_a_damaged_record_is_not_called_a_wrong_file(made: Path, run: ForgedRun) -> None:
    (path,) = (run.root / "records").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"disbelieved": 1}))
    done = call(run.root, "--task", made / "mine.csv", *COLUMNS)
    assert done.exit_code == 1, done.output
    said = " ".join(done.output.split())
    assert "no record is about" not in said
    assert path.name in said


def long_words(texts: list[str]) -> list[list[float]]:
    """A classifier whose answer depends on the number of letters of a text."""
    return [[0.2, 0.8] if len(text) % 2 else [0.7, 0.3] for text in texts]


@pytest.fixture(scope="module")
def judged_whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file, and a run that trains nothing, so that it judges all rows of it."""
    folder = tmp_path_factory.mktemp("whole")
    write_rows(folder / "mine.csv", ROWS[:30])
    robench.evaluate(
        long_words,
        labels=["negative", "positive"],
        task=str(folder / "mine.csv"),
        substitutions="mini",
        attacks="random",
        lm="none",
        device="cpu",
        out=folder / "runs",
    )
    return folder


def test_all_rows_that_a_given_victim_judged_are_those_of_the_file(judged_whole: Path) -> None:
    """The record stays claimed, because nobody else has the victim. No check of it fails."""
    done = call(judged_whole / "runs", "--task", judged_whole / "mine.csv", "--json")
    (report,) = json.loads(done.stdout)["reports"]
    assert report["failed"] == [], done.output
    assert report["checks"]["task"] == "ok"
    assert (report["status"], done.exit_code) == ("claimed", 0)


def test_packing_names_the_file_that_verify_needs(judged_whole: Path, tmp_path: Path) -> None:
    archive = tmp_path / "runs.zip"
    done = CliRunner().invoke(
        main, ["submit", "pack", str(judged_whole / "runs"), "--out", str(archive)]
    )
    assert done.exit_code == 0, done.output
    assert f"  robench verify {archive} --task mine.csv\n" in done.stdout
    assert "the options about its columns (such as --label-column) that the run had" in " ".join(
        done.stdout.split()
    )


def test_a_given_victim_that_judged_other_rows_fails(judged_whole: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "mine.csv", [*ROWS[:29], ROWS[29] | {"text": "Another one."}])
    done = call(judged_whole / "runs", "--task", other, "--json")
    (report,) = json.loads(done.stdout)["reports"]
    assert "its test examples are not those that --task gives" in " ".join(report["failed"])
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "imdb"], "finds registered tasks by itself"),
        (["--task", "hf:imdb"], "reads no hub"),
        (["--task", "gone.csv"], "there is no such file"),
        (["--label-column", "x"], "--label-column: this is about --task FILE. Name the file"),
        (["--task", "other.csv"], "no record is about 'other.csv', only about mine.csv"),
    ],
)
def test_wrong_usage(
    run: ForgedRun, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(run.root)
    write_rows(run.root / "other.csv", ROWS)
    done = call(run.root, *words)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
