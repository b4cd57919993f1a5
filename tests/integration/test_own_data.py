"""The user's own data with the real command line, from the file to the table."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from own_data import reviews, write_rows

from robench.cli import main
from robench.records.record import Record
from robench.records.record_files import read_records
from robench.records.run_folder import RunFolder
from robench.search.trials import TrialFile

DATA = os.environ.get("ROBENCH_DATA", "")
QUICK = (
    "--option", "defense.epochs=1", "--option", "defense.train_examples=64",
    "--option", "defense.dev_examples=16", "--device", "cpu", "--workers", "1",
    "--substitutions", "mini", "--no-hub",
)  # fmt: skip
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    returncode: int
    stdout: str


def run(folder: Path, *arguments: str) -> Done:
    """Run robench in ``folder``, in this process; standard output and error are joined."""
    with contextlib.chdir(folder):
        result = CliRunner(env={"COLUMNS": "120"}).invoke(main, list(arguments))
    return Done(result.exit_code, result.output)


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run robench in a process of its own, which loads every library anew."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-m", "robench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def evaluate(folder: Path, *arguments: str) -> tuple[str, list[Record]]:
    done = run(folder, "evaluate", "--defense", "standard", *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout, list(read_records(RunFolder(folder / "runs").records).values())


def test_a_csv_with_quotes_is_evaluated_in_one_command(tmp_path: Path) -> None:
    write_rows(tmp_path / "My reviews.csv", reviews(200))
    printed, (record,) = evaluate(
        tmp_path, "--attack", "pwws", "--task", "My reviews.csv", "--limit", "6", *QUICK
    )
    assert "the text: 'text'; the label: 'label'" in printed
    assert "0 = 'negative', 1 = 'positive'" in printed
    assert record.task.name == "My_reviews.csv"
    assert (record.counts.n, record.task.examples) == (6, 40)
    # A second run trains nothing and attacks nothing anew. It has a process of its own.
    words = ("--attack", "pwws", "--task", "My reviews.csv", "--limit", "6", *QUICK)
    done = run_alone(tmp_path, "evaluate", "--defense", "standard", *words)
    assert done.returncode == 0, done.stdout
    (again,) = read_records(RunFolder(tmp_path / "runs").records).values()
    assert again.victim == record.victim
    assert again.outcomes == record.outcomes


def test_pairs_in_jsonl_and_a_list_of_ids(tmp_path: Path) -> None:
    rows = [
        {"premise": f"A man walks {n} dogs.", "hypothesis": f"It is {label} that {n} dogs walk."}
        | {"gold_label": label}
        for n in range(40)
        for label in ("entailment", "neutral", "contradiction")
    ]
    write_rows(tmp_path / "pairs.jsonl", rows)
    printed, (record,) = evaluate(
        tmp_path, "--attack", "greedy", "--task", "pairs.jsonl", "--limit", "3", *QUICK
    )
    assert "The words of 'hypothesis' may be replaced, and those of 'premise' may not." in printed
    assert record.task.examples == 24
    (path,) = (tmp_path / "runs" / "trials").glob("*.jsonl")
    ids = [trial.id for trial in TrialFile(path).read()]
    (tmp_path / "mine.txt").write_text("\n".join(ids[:2]))
    arguments = ("--attack", "greedy", "--task", "pairs.jsonl", "--ids", "mine.txt", "--out", "b")
    done = run(tmp_path, "evaluate", "--defense", "standard", *arguments, *QUICK)
    assert done.returncode == 0, done.stdout
    (listed,) = read_records(RunFolder(tmp_path / "b").records).values()
    assert (listed.task.test_name, listed.counts.n) == ("list-mine", 2)


def test_a_saved_victim_is_judged_on_rows_that_it_has_not_seen(tmp_path: Path) -> None:
    write_rows(tmp_path / "films.csv", reviews(200))
    _, (record,) = evaluate(
        tmp_path, "--attack", "none", "--task", "films.csv", "--limit", "6", *QUICK
    )
    (victim,) = (tmp_path / "runs" / "victims").iterdir()
    shared = ("--attack", "none", "--substitutions", "mini", "--no-hub", "--device", "cpu")
    given = ("evaluate", "--victim", str(victim), "--task", "films.csv", *shared)
    done = run(tmp_path, *given, "--out", "given")
    assert done.returncode == 0, done.stdout
    assert "may know test rows" not in done.stdout
    (again,) = read_records(RunFolder(tmp_path / "given").records).values()
    assert (again.task.digest, again.task.examples) == (record.task.digest, 40)
    # The rows have another split with a test file, so the victim may know some of them.
    write_rows(tmp_path / "more.csv", reviews(230)[200:])
    done = run(tmp_path, *given, "--test-file", "more.csv", "--out", "other")
    assert done.returncode == 0, done.stdout
    assert "may know test rows" in " ".join(done.stdout.split())


@pytest.mark.skipif(
    not (Path(DATA) / "sst2_glue.tar.xz").is_file(), reason="ROBENCH_DATA holds no sst2_glue.tar.xz"
)
def test_the_tsv_files_of_sst2_are_evaluated_in_one_command(tmp_path: Path) -> None:
    with tarfile.open(Path(DATA) / "sst2_glue.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    printed, (record,) = evaluate(
        tmp_path,
        "--attack", "pwws", "--task", "SST-2/train.tsv", "--test-file", "SST-2/dev.tsv",
        "--encoder", "tiny", "--limit", "10", *QUICK,
    )  # fmt: skip
    assert "66,344 train, 1,000 dev and 872 test examples" in printed
    assert record.task.name == "train.tsv"
    assert (record.counts.n, record.task.examples) == (10, 872)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "none.csv"), "there is no such file"),
        (("--task", "latin.csv"), "is not UTF-8"),
        (("--task", "films.csv", "--text-column", "body"), "It has: 'text', 'label'"),
        (("--task", "mini-reviews", "--text-column", "body"), "mini-reviews is no file"),
        (("--task", "hf:some/set"), "--no-hub forbids"),
        (("--task", "advglue-sst2"), "has a test set only"),
        (("--task", "headless.csv"), "The first line looks like data"),
    ],
)
def test_wrong_input_is_one_sentence(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "films.csv", reviews())
    (tmp_path / "latin.csv").write_bytes("text,label\ncaf\u00e9,1\n".encode("latin-1"))
    (tmp_path / "headless.csv").write_text("A film that nobody ever wants to see.,1\nGood.,0\n")
    if arguments[1].startswith("advglue") and not DATA:
        pytest.skip("ROBENCH_DATA names no folder with AdvGLUE")
    done = run(
        tmp_path, "evaluate", "--defense", "standard", "--attack", "pwws", "--no-hub", *arguments
    )
    assert done.returncode == 2, done.stdout
    assert said in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
