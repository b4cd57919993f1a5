"""``robench transfer`` on a real run: what it prints, stores and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from robench._base.reporting import Silent
from robench._base.seals import without_seal
from robench.cli import main
from robench.evaluation.run import build_request, evaluate
from robench.evaluation.transfer import transfer
from robench.search.attack import Verdict
from robench.search.trials import TrialFile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two victims under two attacks, and a third under one of them."""
    out = tmp_path_factory.mktemp("transfer")
    both = build_request(defenses=("standard", "rift"), attacks=("genetic", "pwws"), out=out, **toy)
    evaluate(both, Silent())
    training = {name: value for name, value in toy["options"].items() if "defense." in name}
    third = {**toy, "options": training}
    evaluate(build_request(defenses=("ascc",), attacks=("pwws",), out=out, **third), Silent())
    return out


def robench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_a_victim_is_wrong_on_all_its_own_adversarial_texts(run: Path) -> None:
    """The texts and verdicts of the trials agree with a victim that is loaded anew."""
    found = transfer(run, device="cpu")
    assert [table.group.attack.partition("(")[0] for table in found.tables] == ["genetic", "pwws"]
    assert [len(table.rows) for table in found.tables] == [2, 3]
    assert found.problems == ()
    fooled = 0
    for table in found.tables:
        for row in table.rows:
            (own,) = [cell for cell in row.cells if cell.source == row.victim.name]
            assert own.right == 0
            fooled += own.n
    trials = [each for path in (run / "trials").iterdir() for each in TrialFile(path).read()]
    assert fooled == sum(trial.verdict == Verdict.FOOLED for trial in trials) > 0


def test_the_union_is_never_above_the_clean_accuracy_nor_below_a_single_source(run: Path) -> None:
    for table in transfer(run, device="cpu").tables:
        for row in table.rows:
            assert row.clean is not None
            assert row.transferred is not None
            assert row.transferred <= row.clean
            wrong = [cell.n - cell.right for cell in row.cells if cell.source != row.victim.name]
            assert row.transfer.count("F") <= sum(wrong)


def test_the_command_prints_tables_and_stores_them(run: Path) -> None:
    result = robench("transfer", run, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "Transfer of pwws on toy, protocol rift2021" in result.stdout
    assert "│ victim " in result.stdout
    assert result.stdout.count("Accuracy in %. 'clean'") == 1
    stored = json.loads((run / "transfer.json").read_text())
    as_json = robench("transfer", run, "--device", "cpu", "--json", "--quiet")
    assert json.loads(as_json.stdout) == without_seal(stored)
    flags = [row["flag"] for table in stored["tables"] for row in table["victims"] if row["flag"]]
    board = (run / "leaderboard.md").read_text()
    assert all(f"- {flag}" in board for flag in flags)
    assert board.count("texts that were made for") == len(flags)
    one = robench("transfer", run, "--attack", "pwws", "--task", "toy", "--json", "--quiet")
    assert [len(table["victims"]) for table in json.loads(one.stdout)["tables"]] == [3]


def test_a_victim_that_is_gone_is_told_and_its_texts_are_used(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (gone,) = (copy / "victims").glob("rift-*")
    shutil.rmtree(gone)
    result = robench("transfer", copy, "--attack", "genetic", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "is not asked: no folder in" in result.stderr
    assert "texts of rift" in result.stdout
    for folder in (copy / "victims").glob("*-*"):
        shutil.rmtree(folder)
    result = robench("transfer", copy, "--device", "cpu")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere",), "There is no folder 'nowhere'"),
        ((".",), "There are no results in '.'"),
    ],
)
def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = robench("transfer", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_wrong_choices_give_one_sentence(run: Path, tmp_path: Path) -> None:
    result = robench("transfer", run, "--attack", "nothing")
    assert result.exit_code == 2
    assert "There is no attack" in result.stderr
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    for path in (copy / "records").glob("*rift*"):
        path.unlink()
    for path in (copy / "records").glob("*ascc*"):
        path.unlink()
    result = robench("transfer", copy)
    assert result.exit_code == 2
    assert "was tried on two victims under equal conditions" in result.stderr
