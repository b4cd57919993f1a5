"""``robench.results`` on records made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from trial_runs import TEXTS, write_run

import robench
from robench._base.errors import UsageError
from robench.records.frames import COLUMNS, results
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.statistics import wilson

MakeRecord = Callable[..., Record]


@pytest.fixture
def out(tmp_path: Path, make_record: MakeRecord) -> Path:
    """Two rows: `standard` has one attack more, and `rift` has a replaced record."""
    records = {
        "a": make_record("WFHH"),
        "b": make_record("WHFH", attack="pwws"),
        "c": make_record("WHHH", defense="rift"),
        "d": make_record("WHHP", defense="rift"),
    }
    for name, record in records.items():
        write_record(RunFolder(tmp_path).records / f"{name}.json", record)
    return tmp_path


def test_a_line_for_each_record_with_the_documented_columns_and_types(out: Path) -> None:
    cells = results(out).cells
    assert list(cells.columns) == list(COLUMNS)
    assert {name: str(dtype) for name, dtype in cells.dtypes.items()} == {
        name: column.dtype for name, column in COLUMNS.items()
    }
    assert list(cells["record"]) == ["a.json", "b.json", "c.json", "d.json"]
    assert all(column.meaning for column in COLUMNS.values())


def test_the_numbers_by_hand(out: Path) -> None:
    line: Any = results(out).cells.iloc[0]
    assert (line["n"], line["wrong"], line["fooled"], line["held"]) == (4, 1, 1, 2)
    assert (line["clean_accuracy"], line["accuracy_under_attack"]) == (0.75, 0.5)
    assert line["attack_success_rate"] == pytest.approx(1 / 3)
    assert (line["under_low"], line["under_high"]) == wilson(0.5, 4)
    assert line["seed"] == 0
    assert pd.isna(line["limit"])
    assert str(line["created"]) == "2026-01-02 03:04:05+00:00"


def test_the_worst_case_is_that_of_the_table(out: Path) -> None:
    """`rift` lacks pwws, so that the worst case covers genetic alone."""
    cells: Any = results(out).cells.set_index("record")
    assert list(cells["worst_case_attacks"].dropna().unique()) == ["genetic"]
    assert cells.loc["a.json", "worst_case"] == cells.loc["b.json", "worst_case"] == 0.5
    assert cells.loc["d.json", "worst_case"] == 0.75
    assert pd.isna(cells.loc["c.json", "worst_case"])
    assert "replaced by the newer d.json" in cells.loc["c.json", "left_out"]
    assert pd.isna(cells.loc["a.json", "left_out"])


def test_an_error_has_no_rate(tmp_path: Path, make_record: MakeRecord) -> None:
    write_record(RunFolder(tmp_path).records / "a.json", make_record("HHE"))
    line: Any = results(tmp_path).cells.iloc[0]
    assert line["error"] == 1
    for name in ("clean_accuracy", "accuracy_under_attack", "under_low", "worst_case"):
        assert pd.isna(line[name])
    assert "ended in an error" in line["left_out"]


def test_records_that_do_not_go_together_are_named(tmp_path: Path, make_record: MakeRecord) -> None:
    records = {"a": make_record("WFHH"), "b": make_record("HFHH", attack="pwws")}
    for name, record in records.items():
        write_record(RunFolder(tmp_path).records / f"{name}.json", record)
    cells: Any = results(tmp_path).cells
    assert cells["worst_case"].isna().all()
    for reason in cells["left_out"]:
        assert reason.startswith("it does not go together with the row's other records: the att")


def test_a_given_victim_has_no_defense(tmp_path: Path, make_record: MakeRecord) -> None:
    write_record(RunFolder(tmp_path).records / "a.json", make_record("HF", given="mine"))
    line: Any = results(tmp_path).cells.iloc[0]
    assert line["row"] == "mine (given)"
    assert pd.isna(line["defense"])
    assert pd.isna(line["encoder"])


def test_damaged_records_give_a_warning(out: Path) -> None:
    (RunFolder(out).records / "torn.json").write_text("{")
    with pytest.warns(UserWarning, match=r"Left out: .*torn\.json"):
        found = results(out)
    assert len(found.cells) == 4


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no records"):
        results(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        results(tmp_path / "nowhere")


def test_trials_have_texts(tmp_path: Path) -> None:
    write_run(tmp_path)
    trials = results(tmp_path).trials
    assert set(trials["id"]) == set(TEXTS)
    assert {"verdict", "original_text", "adversarial_text", "changes", "record"} <= set(trials)
    fooled = trials[trials["id"] == "toy/1"].iloc[0]
    assert fooled["adversarial_text"] != fooled["original_text"] == TEXTS["toy/1"][0]


def test_trials_that_are_missing_give_a_warning_and_an_empty_frame(out: Path) -> None:
    found = results(out)
    with pytest.warns(UserWarning, match="The texts of the examples") as caught:
        trials = found.trials
    assert len(caught) == 4
    assert "The trials of a.json are left out: The texts" in str(caught[0].message)
    assert len(trials) == 0
    assert {"id", "verdict", "record"} <= set(trials)


def test_it_shows_itself(out: Path) -> None:
    found = robench.results(out)
    assert repr(found) == f"<results of {out}: 4 cells>"
    html = found._repr_html_()
    assert "<table" in html
    assert "replaced by the newer" in html


def test_the_print_is_the_table_of_the_run(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    shown = str(robench.results(tmp_path))
    assert "clean accuracy" in shown
    assert record.row in shown
