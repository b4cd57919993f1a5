"""Rows of charts are named without the options that all of them have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from site_cases import cell, write_toy_board

from robench.records.record import Record
from robench.site.chart_parts import percent_between
from robench.site.charts import Chart
from robench.site.pages import table_charts
from robench.site.row_names import shared_options, with_short_names
from robench.site.tables import board_table


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        (["rift(n=4)", "standard(n=4)"], "(n=4)"),
        (["rift(a=1, n=4)", "standard(n=4)"], ""),
        (["rift(n=4)", "standard"], ""),
        (["rift", "standard"], ""),
        (["rift(n=4)"], ""),
        (["(n=4)", "rift(n=4)"], ""),
        (["my-model (given)", "other (given)"], ""),
        (["a(w=(1, 2))", "b(w=(1, 2))"], ""),
        (["a(n=4)+ascc(n=4)", "b(n=4)+ascc(n=4)"], ""),
        (["a(n=4, m=1)", "b(n=4, m=1)"], "(n=4, m=1)"),
        ([], ""),
    ],
)
def test_options_that_all_rows_have(rows: list[str], shared: str) -> None:
    assert shared_options(rows) == shared


def test_only_whole_labels_are_replaced() -> None:
    spec = {
        "data": {"values": [{"row": "rift(n=4)", "x": 1}, {"row": "standard(n=4)", "x": None}]},
        "title": "about rift(n=4)",
        "encoding": {"y": {"sort": ["rift(n=4)", "standard(n=4)"]}},
    }
    (chart,) = with_short_names([Chart("a", "A", "Words.", spec)], ["rift(n=4)", "standard(n=4)"])
    assert chart.spec == {
        "data": {"values": [{"row": "rift", "x": 1}, {"row": "standard", "x": None}]},
        "title": "about rift(n=4)",
        "encoding": {"y": {"sort": ["rift", "standard"]}},
    }
    assert chart.words == "Words. The names of all rows end with (n=4), which is left out here."


def test_a_chart_without_rows_stays_as_it_is() -> None:
    chart = Chart("a", "A", "Words.", {"data": {"values": [{"x": 1}]}})
    assert with_short_names([chart], ["rift(n=4)", "standard(n=4)"]) == [chart]


def records(ending: str) -> dict[str, Record]:
    return {
        f"{name}-{attack}.json": cell(
            "HHHHHHHFFW", name, attack, label=f"{name}{ending}", options={"n": 4}
        )
        for name in ("rift", "standard")
        for attack in ("pwws", "genetic")
    }


def test_the_charts_of_a_board_have_short_names(tmp_path: Path) -> None:
    board = write_toy_board(tmp_path, records("(n=4)"))
    # The rows that every board of these tests expects have no records, and other labels.
    board.write_text(board.read_text().replace('["standard", "missing"]', "[]"))
    charts = {chart.id: chart for chart in table_charts(board_table(board))}
    assert {"intervals", "trade-off"} <= charts.keys()
    for chart in charts.values():
        assert "rift(n=4)" not in json.dumps(chart.spec)
        assert '"rift"' in json.dumps(chart.spec)
        assert chart.words.endswith("end with (n=4), which is left out here.")


def test_the_axis_of_a_percentage_stays_between_0_and_100() -> None:
    for values, domain in (
        ([2.3, 28.1], [0, 31]),
        ([70.0, 99.9], [67, 100]),
        ([50.0], [49, 51]),
        ([0.0, 0.0], [0, 1]),
    ):
        assert percent_between("x", "X", values)["scale"]["domain"] == domain
