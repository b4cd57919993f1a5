"""A sweep of the toy task from training to table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy import TOY_OPTIONS, make_toy_encoder, toy_task

from robench.evaluation.run import Silent, build_request
from robench.evaluation.sweep import sweep, sweep_points
from robench.evaluation.sweep_table import render_sweep
from robench.records.option_curves import option_curves
from robench.records.record_files import read_records


@pytest.fixture
def toy_name(tmp_path: Path) -> Iterator[str]:
    """The name of the toy task while a test runs."""
    with toy_task(tmp_path) as name:
        yield name


def test_a_sweep_gives_a_row_per_value_and_a_second_run_changes_no_file(
    tmp_path: Path, toy_name: str
) -> None:
    common = {
        "tasks": (toy_name,),
        "encoder": make_toy_encoder(tmp_path / "encoder"),
        "device": "cpu",
        "out": tmp_path / "out",
    }
    options = {
        name: value for name, value in TOY_OPTIONS.items() if name.startswith("defense.")
    } | {"defense.train_examples": "160", "defense.beta": "0,8"}
    found = sweep_points(
        options,
        lambda chosen: build_request(
            defenses=("ascc",), attacks=("pwws",), options=chosen, **common
        ),
    )
    rows, records = sweep(found, Silent())
    assert [row.values for row in rows] == [{"defense.beta": "0"}, {"defense.beta": "8"}]
    assert [record.defense.options["beta"] for record in records if record.defense] == [0.0, 8.0]
    assert list(read_records(tmp_path / "out" / "records").values()) == sorted(
        records, key=lambda record: record.file_name
    )
    assert all(len(row.distances) == 1 for row in rows)
    assert rows[0].distances != rows[1].distances
    assert "| ascc" in render_sweep(found, rows, records, None)

    before = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and path.name != "leaderboard.md"
    }
    assert sweep(found, Silent()) == (rows, records)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_sweep_of_a_population_gives_a_curve_over_it(tmp_path: Path, toy_name: str) -> None:
    options = {
        name: value for name, value in TOY_OPTIONS.items() if name.startswith("defense.")
    } | {
        "defense.train_examples": "80",
        "genetic.iterations": "2",
        "genetic.population": "2,6",
    }
    found = sweep_points(
        options,
        lambda chosen: build_request(
            defenses=("ascc",),
            attacks=("genetic",),
            options=chosen,
            tasks=(toy_name,),
            encoder=make_toy_encoder(tmp_path / "encoder"),
            device="cpu",
            out=tmp_path / "out",
        ),
    )
    rows, records = sweep(found, Silent())
    assert [row.values for row in rows] == [
        {"genetic.population": "2"},
        {"genetic.population": "6"},
    ]
    (curve,) = option_curves(records)["genetic.population"]
    assert curve.label == records[0].row
    assert list(curve.points) == [2.0, 6.0]
    # One training was enough for both.
    assert len({record.victim.sha256 for record in records}) == 1
