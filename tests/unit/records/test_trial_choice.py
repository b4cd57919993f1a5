"""Tests of the choice of trials to look at."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from trial_runs import TEST_SET, TRIALS, write_run, write_trials

from robench._base.errors import RobenchError, UsageError
from robench.cli import main
from robench.records.frames import results
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.trial_choice import CellChoice, TrialFilter, load_trials, pick
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.search.attack import Verdict


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path)
    write_run(tmp_path, defense="rift", label="rift(alpha=0.3)", attack="pwws", seed=1)
    return tmp_path


@pytest.mark.parametrize(
    ("choice", "cells"),
    [
        (CellChoice(), 2),
        (CellChoice(rows=("rift",)), 1),
        (CellChoice(rows=("rift(alpha=0.3)",)), 1),
        (CellChoice(rows=("rift", "standard")), 2),
        (CellChoice(attacks=("pwws",)), 1),
        (CellChoice(tasks=("toy",)), 2),
        (CellChoice(seeds=(1,)), 1),
    ],
)
def test_cells_are_chosen_by_their_names(run: Path, choice: CellChoice, cells: int) -> None:
    chosen = load_trials(run, choice)
    assert (len(chosen.records), len(chosen.trials)) == (cells, 6 * cells)
    assert chosen.problems == []


def test_a_choice_of_nothing_says_what_there_is(run: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_trials(run, CellChoice(rows=("rift",), seeds=(0,)))
    assert str(caught.value) == (
        f"No cell of '{run}' is meant. It has row rift(alpha=0.3), standard; attack genetic, pwws; "
        "task toy; seed 0, 1."
    )


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (CellChoice(attacks=("genetik",)), "no attack 'genetik' in '{}'. It has: genetic, pwws."),
        (CellChoice(attacks=("pwws", "x")), "no attack 'x' in '{}'. It has: genetic, pwws."),
        (CellChoice(tasks=("imdb",)), "no task 'imdb' in '{}'. It has: toy."),
        (CellChoice(rows=("safer",)), "no row 'safer' in '{}'. It has: rift(alpha=0.3), standard."),
        (CellChoice(seeds=(7,)), "no seed '7' in '{}'. It has: 0, 1."),
    ],
)
def test_a_name_that_the_run_lacks_is_told(run: Path, choice: CellChoice, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_trials(run, choice)
    assert str(caught.value) == f"There is {sentence.format(run)}"


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are no results in"):
        load_trials(tmp_path, CellChoice())


def test_a_damaged_cell_does_not_hide_the_others(run: Path) -> None:
    folder = RunFolder(run)
    next(folder.trials.glob("*rift*")).unlink()
    (folder.records / "broken.json").write_text("{", encoding="utf-8")
    chosen = load_trials(run, CellChoice())
    assert len(chosen.records) == 1
    assert ["it is not JSON" in chosen.problems[0], "missing" in chosen.problems[1]] == [True, True]


def test_nothing_readable_is_an_error(run: Path) -> None:
    RunFolder(run).examples_file("toy", TEST_SET.digest).unlink()
    with pytest.raises(RobenchError, match="texts of the examples are missing") as caught:
        load_trials(run, CellChoice())
    assert str(caught.value).count("are missing") == 1


def test_a_limited_record_does_not_count_twice(tmp_path: Path) -> None:
    write_run(tmp_path)
    write_run(tmp_path, [TRIALS[0], TRIALS[1], TRIALS[2]], limit=3)
    assert len(load_trials(tmp_path, CellChoice()).trials) == 6


def test_a_record_that_a_newer_one_replaces_is_not_shown(tmp_path: Path) -> None:
    old = write_run(tmp_path)
    # An edited set of substitutes: the same place in the table, and another cell.
    part = TrialsPart(sha256=digest_of_trials(TRIALS, "f" * 64))
    later = old.created + timedelta(days=1)
    new = old.model_copy(update={"cell": "f" * 64, "created": later, "trials": part})
    folder = RunFolder(tmp_path)
    write_trials(tmp_path, new, TRIALS)
    write_record(folder.records / new.file_name, new)
    chosen = load_trials(tmp_path, CellChoice())
    assert [record.cell for record in chosen.records] == [new.cell]
    assert len(chosen.trials) == 6
    assert chosen.replaced == [f"{old.file_name} (replaced by the newer {new.file_name})."]
    assert chosen.problems == []
    shown = CliRunner().invoke(main, ["examples", str(tmp_path)])
    assert shown.exit_code == 0
    assert f"Not shown: {old.file_name} (replaced by the newer" in shown.stderr
    frame = results(tmp_path).trials
    assert len(frame) == 12
    reasons = dict(zip(frame["record"], frame["left_out"], strict=True))
    assert reasons == {
        old.file_name: f"replaced by the newer {new.file_name}",
        new.file_name: "1 of 6 examples ended in an error",
    }


def ids(run: Path, wanted: TrialFilter, limit: int | None = None) -> list[str]:
    trials = load_trials(run, CellChoice(seeds=(0,))).trials
    return [trial.id.rpartition("/")[2] for trial in pick(trials, wanted, limit)]


def test_the_most_telling_trials_come_first(run: Path) -> None:
    assert ids(run, TrialFilter()) == ["1", "2", "5", "4", "3", "6"]
    assert ids(run, TrialFilter(), 2) == ["1", "2"]


def test_among_equals_the_most_confident_error_comes_first(tmp_path: Path) -> None:
    sure = TRIALS[4].model_copy(
        update={
            "verdict": Verdict.FOOLED,
            "adversarial_prediction": 0,
            "adversarial_probs": (0.9, 0.1),
            "problem": None,
        }
    )
    write_run(tmp_path, [*TRIALS[:4], sure, TRIALS[5]])
    assert ids(tmp_path, TrialFilter())[:3] == ["5", "1", "2"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (TrialFilter(verdicts=(Verdict.WRONG, Verdict.ERROR)), ["3", "6"]),
        (TrialFilter(label="negative"), ["2", "4", "6"]),
        (TrialFilter(ids=("toy/4", "1")), ["1", "4"]),
        (TrialFilter(verdicts=(Verdict.FOOLED,), label="negative", ids=("1",)), []),
    ],
)
def test_trials_are_filtered(run: Path, wanted: TrialFilter, expected: list[str]) -> None:
    assert ids(run, wanted) == expected


def test_an_unknown_label_or_id_is_told(run: Path) -> None:
    with pytest.raises(UsageError, match=r"no label 'x'. The labels are negative, positive\."):
        ids(run, TrialFilter(label="x"))
    with pytest.raises(UsageError, match=r"No example 'x' was judged here. Ids look like toy/1\."):
        ids(run, TrialFilter(ids=("x",)))
