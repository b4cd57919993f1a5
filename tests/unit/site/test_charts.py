"""Charts are data: what they hold, and that names never become code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE
from site_cases import cell, cells, write_toy_board

from robench.site.charts import Chart, _steps, certified, curves, intervals, trade_off
from robench.site.pages import table_charts
from robench.site.tables import Table, board_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return board_table(write_toy_board(tmp_path_factory.mktemp("boards")))


def values_of(chart: Chart | None) -> list[dict[str, Any]]:
    assert chart is not None
    values: list[dict[str, Any]] = chart.spec["data"]["values"]
    return values


def test_intervals_hold_the_numbers_of_the_table(table: Table) -> None:
    values = values_of(intervals(table))
    rift = {each["measure"]: each for each in values if each["row"] == "rift"}
    assert rift["clean accuracy"]["accuracy"] == 85.0
    assert rift["worst case"]["accuracy"] == 60.0
    assert rift["worst case"]["low"] < 60 < rift["worst case"]["high"]
    assert {each["row"] for each in values} == {"rift", "standard", "mixout"}


def test_the_menu_of_intervals_begins_with_the_worst_case(table: Table) -> None:
    chart = intervals(table)
    assert chart is not None
    (parameter,) = chart.spec["params"]
    assert parameter["value"] == "worst case"
    assert parameter["bind"]["options"] == ["worst case", "pwws", "genetic"]


def test_the_trade_off_marks_rows_that_another_row_beats(table: Table) -> None:
    kinds = {each["row"]: each["kind"] for each in values_of(trade_off(table))}
    assert kinds == {
        "rift": "no row is better in both",
        "standard": "no row is better in both",
        "mixout": "another row is better",
    }


def test_curves_start_at_the_clean_accuracy_and_end_at_the_accuracy_under_attack() -> None:
    record = cells()["standard-pwws.json"]
    words = [each["accuracy"] for each in values_of(curves([record], "words", "attack"))]
    assert (words[0], words[-1]) == (100.0, 40.0)
    queries = values_of(curves([record], "queries", "attack"))
    assert [each["at most"] for each in queries] == [1, 10, 100]
    assert [each["accuracy"] for each in queries] == [100.0, 70.0, 40.0]


def test_curves_are_means_over_the_seeds() -> None:
    records = [cells()[f"rift-pwws-{seed}.json"] for seed in (0, 1)]
    chart = curves(records, "queries", "row")
    assert values_of(chart)[-1]["accuracy"] == 70.0
    assert chart is not None
    assert "means over the seeds" in chart.words


def test_a_chart_has_no_mean_over_some_of_the_seeds() -> None:
    found = cells()
    records = [found["rift-pwws-0.json"], found["rift-pwws-1.json"], found["rift-genetic-0.json"]]
    assert {each["attack"] for each in values_of(curves(records, "queries", "attack"))} == {"pwws"}
    assert curves(records, "queries", "row", "pwws") is not None
    assert curves(records, "queries", "row", "genetic") is None


def test_there_is_no_chart_of_nothing(tmp_path: Path) -> None:
    empty = board_table(write_toy_board(tmp_path, {}))
    assert intervals(empty) is None
    assert trade_off(empty) is None
    assert curves([], "queries", "row") is None
    assert certified(()) is None
    assert curves([cell("WWHHHHHHHE", "a", "pwws")], "words", "row") is None


def test_certified_numbers_are_intervals_in_order(table: Table) -> None:
    values = {each["what"]: each for each in values_of(certified(table.sandwiches))}
    exact = values["exact: at least and at most"]
    assert values["certified, 95 % interval"]["middle"] == 40.0
    assert exact["low"] <= exact["high"] <= values["under attack"]["middle"] <= 100.0
    assert values["clean"]["low"] == values["clean"]["high"] == 100.0


def test_a_board_has_charts_of_its_best_rows_under_one_attack(table: Table) -> None:
    found = {chart.id: chart for chart in table_charts(table)}
    assert list(found) == ["intervals", "trade-off", "certified"]
    assert all(chart.words.endswith(".") for chart in found.values())


def test_curves_of_a_board_need_a_record_of_each_row(tmp_path: Path) -> None:
    path = write_toy_board(tmp_path)
    path.write_text(path.read_text().replace(', "missing"', ""))
    found = {chart.id: chart for chart in table_charts(board_table(path))}
    assert {"queries-by-row", "words-by-row"} <= set(found)
    assert "The attack is pwws." in found["queries-by-row"].words


def without_values(spec: dict[str, Any]) -> str:
    """Return a specification without its data, menus and orders of rows, as text."""
    rest = {name: part for name, part in spec.items() if name not in ("data", "params")}
    rest = json.loads(json.dumps(rest))
    rest.get("encoding", {}).get("y", {}).pop("sort", None)
    return json.dumps(rest)


def test_names_of_others_are_data_only(tmp_path: Path) -> None:
    """An expression that held a name would run what the name says."""
    plain = table_charts(board_table(write_toy_board(tmp_path / "plain")))
    records = cells(HOSTILE[:150])
    hostile = table_charts(board_table(write_toy_board(tmp_path / "hostile", records)))
    assert len(plain) == len(hostile) > 2
    for one, two in zip(plain, hostile, strict=True):
        assert without_values(dict(one.spec)) == without_values(dict(two.spec))


def test_a_curve_has_the_points_at_which_it_changes() -> None:
    """Between them the line is flat, and a site of many rows must stay small."""
    steps = [(1, 90.0), (2, 90.0), (5, 80.0), (10, 80.0), (20, 80.0)]
    assert _steps(steps) == [(1, 90.0), (5, 80.0), (20, 80.0)]
    assert _steps(steps[:1]) == steps[:1]
    assert _steps([]) == []
