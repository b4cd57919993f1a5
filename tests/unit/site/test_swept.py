"""Options with several values: one chart of accuracy and one of the distance."""

from __future__ import annotations

from pathlib import Path

from site_cases import cell, write_sweep

from robench.records.record_files import write_record
from robench.site.swept import swept_charts
from robench.site.trainings import training_page


def test_accuracy_and_distance_by_the_swept_option(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    accuracy, distance = swept_charts([tmp_path])
    assert accuracy.title == "rift: accuracy by beta"
    assert accuracy.spec["encoding"]["x"]["type"] == "quantitative"
    assert accuracy.spec["data"]["values"] == [
        {"value": 1.0, "line": "clean accuracy", "accuracy": 90.0},
        {"value": 1.0, "line": "pwws", "accuracy": 50.0},
        {"value": 5.0, "line": "clean accuracy", "accuracy": 90.0},
        {"value": 5.0, "line": "pwws", "accuracy": 70.0},
        {"value": 20.0, "line": "clean accuracy", "accuracy": 80.0},
        {"value": 20.0, "line": "pwws", "accuracy": 70.0},
    ]
    assert distance.title == "rift: distance by beta"
    assert distance.spec["data"]["values"] == [
        {"value": 1.0, "distance": 0.1818},
        {"value": 5.0, "distance": 0.1333},
        {"value": 20.0, "distance": 0.0667},
    ]


def test_seeds_are_averaged(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    again = cell(
        "WWWWFFFFFF",
        "rift",
        "pwws",
        1,
        label="rift(beta=1.0)",
        options={"alpha": 0.1, "beta": 1.0},
    )
    write_record(tmp_path / "records" / again.file_name, again)
    accuracy, _ = swept_charts([tmp_path])
    first, second, *_ = (each["accuracy"] for each in accuracy.spec["data"]["values"])
    assert (first, second) == (75.0, 25.0)


def test_rows_that_differ_in_two_options_are_not_compared(tmp_path: Path) -> None:
    for beta, alpha in ((1.0, 0.1), (5.0, 0.7)):
        options = {"alpha": alpha, "beta": beta}
        made = cell("WFHHHHHHHH", "rift", "pwws", label=f"rift({beta})", options=options)
        write_record(tmp_path / "records" / made.file_name, made)
    assert swept_charts([tmp_path]) == []


def test_words_stand_at_equal_intervals(tmp_path: Path) -> None:
    for rule in ("released", "change"):
        made = cell("WFHHHHHHHH", "rose", "pwws", label=f"rose({rule})", options={"rule": rule})
        write_record(tmp_path / "records" / made.file_name, made)
    (accuracy,) = swept_charts([tmp_path])
    assert accuracy.spec["encoding"]["x"]["type"] == "nominal"
    assert {each["value"] for each in accuracy.spec["data"]["values"]} == {"released", "change"}


def test_a_record_with_an_error_has_no_point(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    options = {"alpha": 0.1, "beta": 50.0}
    made = cell("WEHHHHHHHH", "rift", "pwws", label="rift(beta=50.0)", options=options)
    write_record(tmp_path / "records" / made.file_name, made.model_copy(update={"curves": None}))
    accuracy, _ = swept_charts([tmp_path])
    assert 50.0 not in {each["value"] for each in accuracy.spec["data"]["values"]}


def test_the_page_names_the_commands_of_what_is_missing(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    found = training_page([tmp_path])
    assert "rift: accuracy by beta" in [each.title for each in found.charts]
    (how_to,) = found.missing
    assert how_to.command.startswith("robench plot geometry --victim ")
    assert found.problems == []
    # One seed was trained with three values, and none of them hides another.
    assert [victim for victim, *_ in found.rows] == [
        "rift(beta=1.0)-toy-tiny",
        "rift(beta=20.0)-toy-tiny",
        "rift(beta=5.0)-toy-tiny",
    ]


def test_without_records_the_folders_tell_trainings_apart(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    for path in (tmp_path / "records").iterdir():
        path.unlink()
    folders = sorted(path.name for path in (tmp_path / "victims").iterdir())
    assert [victim for victim, *_ in training_page([tmp_path]).rows] == folders


def test_nothing_is_missing_from_runs_without_trainings(tmp_path: Path) -> None:
    found = training_page([tmp_path])
    assert (found.charts, found.rows, found.missing, found.problems) == ([], [], [], [])
