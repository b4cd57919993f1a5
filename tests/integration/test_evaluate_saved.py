"""Victims that robench saved, evaluated from their folders, also on other test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from evaluation_cases import FinishedRun, Listening, trials_of, without_measurements

from robench.cli import main
from robench.evaluation.run import build_request, evaluate, plan
from robench.models.victim import Victim
from robench.records.record_files import read_records

SHORT = ("--option", "attack.population=4", "--option", "attack.iterations=2")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_a_saved_victim_has_the_trials_of_the_run_that_trained_it(
    finished: FinishedRun, saved: Path, toy: dict[str, Any], tmp_path: Path
) -> None:
    options = {name: value for name, value in toy["options"].items() if name.startswith("attack")}
    request = build_request(
        victims=(str(saved),),
        names=("mine",),
        attacks=("genetic", "pwws"),
        tasks=toy["tasks"],
        options=options,
        device="cpu",
        out=tmp_path,
    )
    report = Listening()
    records = evaluate(request, report)
    for old, new in zip(finished[1], records, strict=True):
        assert (new.outcomes, new.cell, new.encoder) == (old.outcomes, old.cell, old.encoder)
        assert (new.row, new.victim.kind) == ("mine", "trained")
        assert (new.defense, new.protocol) == (old.defense, old.protocol)
        assert new.cost.training_seconds == old.cost.training_seconds
        assert new.task == old.task
    before = {key.split()[1]: value for key, value in trials_of(finished[0].out).items()}
    after = {key.split()[1]: value for key, value in trials_of(tmp_path).items()}
    assert after == before
    assert "Protocol rift2021, with which the victim was trained." in report.messages
    board = (tmp_path / "leaderboard.md").read_text()
    assert "Row mine: a saved victim of robench, which trained it with rift(" in board
    assert str(saved.parent) not in board
    # A second run attacks nothing, and the plan says so.
    assert [(cell.defense, cell.victim, cell.done) for cell in plan(request)] == [
        ("mine", "load", 30)
    ] * 2
    again = evaluate(request, report)
    assert [*map(without_measurements, again)] == [*map(without_measurements, records)]


def test_a_file_is_judged_with_the_victim_as_it_is(saved: Path, toy: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    rows = ["a good film,positive", "the dull plot,negative", "the music,negative"]
    path.write_text("\n".join(["text,label", *rows, "a great story,positive"]) + "\n")
    out = tmp_path / "out"
    result = run(
        *("evaluate", "--victim", saved, "--name", "mine", "--attack", "pwws", "--out", out),
        *("--test", path, "--test", "toy", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.stderr
    records = read_records(out / "records").values()
    by_test = {record.task.other_test: record for record in records}
    assert set(by_test) == {None, "other.csv"}
    other = by_test["other.csv"]
    assert (other.task.name, other.counts.n, other.task.test_name) == (
        "toy",
        4,
        "other.csv:frozen-4",
    )
    assert other.file_name.startswith("toy-on-other.csv-mine-pwws-s0-")
    assert not other.task.synthetic
    assert other.cell != by_test[None].cell
    victim = Victim.load(saved)
    texts = [{"text": row.split(",")[0]} for row in [*rows, "a great story,positive"]]
    right = (victim.predict(texts) == [1, 0, 0, 1]).sum()
    assert other.counts.n - other.counts.wrong == right
    # The tables are apart, and the title of one names the test set.
    assert "toy judged on other.csv, encoder" in result.stdout
    assert result.stdout.count("│ mine") == 2
    assert "which come from other.csv and not from the" in (out / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--task", "mini-reviews"), "it was trained on task 'toy', and this run is about 'mini-"),
        (("--protocol", "subword"), "was trained with protocol rift2021. Leave --protocol out."),
        (("--test", "none.csv"), "there is no such file"),
        (("--test", "tony"), "There is no task 'tony'. Did you mean 'toy'?"),
        (("--victim", "./none"), "--victim ./none: there is no such folder."),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    saved: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(
        "evaluate", "--victim", saved, "--attack", "pwws", "--out", tmp_path / "out", *arguments
    )
    assert result.exit_code == 2
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "trials").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "--attack", "pwws", "--model", "x"), "Did you mean '--victim' (a model that"),
        (("evaluate", "--attack", "pwws"), "There is no victim: --defense NAME trains one, and"),
        (("train", "--victim", "x"), "is attacked with 'robench evaluate --victim'."),
        (("sweep", "--victim", "x"), "is attacked with 'robench evaluate --victim'."),
    ],
)
def test_commands_point_to_the_option_that_takes_a_model(
    arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
