"""The geometry of features on the site: from the file of points, and what is said without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import TEXTS
from site_cases import geometry_points

from robench._base.errors import RobenchError
from robench._base.seals import with_seal
from robench.figures.geometry_points import FILE_NAME, GeometryPoints, read_points, write_points
from robench.site.geometry import geometry_charts


def test_the_points_survive_the_way_to_the_disk(tmp_path: Path) -> None:
    points = geometry_points()
    write_points(tmp_path / FILE_NAME, points)
    assert read_points(tmp_path / FILE_NAME) == points


def test_there_is_a_chart_before_and_two_for_each_victim(tmp_path: Path) -> None:
    write_points(tmp_path / FILE_NAME, geometry_points())
    charts, problems = geometry_charts([tmp_path])
    assert problems == []
    assert [each.title for each in charts] == [
        "Features of tiny before fine-tuning",
        "Features of rift-toy-tiny, seed 0",
        "The order of the texts after rift-toy-tiny, seed 0",
    ]
    before, _, circles = (each.spec["data"]["values"] for each in charts)
    assert before[0] == {"x": 1.0, "y": 0.0, "class": "negative"}
    assert len(circles) == 8
    # A text keeps the colour of its place on the inner circle.
    assert [each["hue"] for each in circles[:4]] == [0.0, 0.25, 0.5, 0.75]
    assert [each["hue"] for each in circles[4:]] == [0.0, 0.25, 0.5, 0.75]


def test_anchors_of_two_runs_differ(tmp_path: Path) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        write_points(run / FILE_NAME, geometry_points())
    ids = [each.id for each in geometry_charts(runs)[0]]
    assert len(set(ids)) == len(ids) == 6


def test_a_run_without_points_has_no_chart(tmp_path: Path) -> None:
    assert geometry_charts([tmp_path]) == ([], [])


def few_points(content: dict[str, Any]) -> None:
    content["before"] = content["before"][:-1] + content["before"][:1] * 2


def label_of_no_class(content: dict[str, Any]) -> None:
    content["labels"] = [0, 1, 0, 2]


def other_version(content: dict[str, Any]) -> None:
    content["version"] = 2


def a_part_more(content: dict[str, Any]) -> None:
    content["script"] = "alert(1)"


@pytest.mark.parametrize(
    "change", [few_points, label_of_no_class, other_version, a_part_more], ids=lambda c: c.__name__
)
def test_a_file_that_no_command_writes_is_named_and_left_out(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    content = geometry_points().model_dump(mode="json")
    change(content)
    (tmp_path / FILE_NAME).write_text(json.dumps(with_seal(content)))
    charts, (problem,) = geometry_charts([tmp_path])
    assert charts == []
    assert problem.startswith(f"The points {tmp_path / FILE_NAME} are not valid at ")
    assert problem.endswith("make it again with 'robench plot geometry'.")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "robench geometry"}', '{"x": NaN}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(RobenchError, match="Cannot read the points"):
        read_points(tmp_path / FILE_NAME)


def test_a_changed_point_is_found(tmp_path: Path) -> None:
    write_points(tmp_path / FILE_NAME, geometry_points())
    text = (tmp_path / FILE_NAME).read_text()
    (tmp_path / FILE_NAME).write_text(text.replace("-1.0", "-2.0", 1))
    with pytest.raises(RobenchError, match="its seal does not fit"):
        read_points(tmp_path / FILE_NAME)


def test_too_many_texts_and_victims_are_refused() -> None:
    content = geometry_points().model_dump()
    content["victims"] = content["victims"] * 51
    with pytest.raises(ValueError, match="50"):
        GeometryPoints.model_validate(content)


def test_a_hostile_name_stays_data(tmp_path: Path) -> None:
    content = geometry_points().model_dump()
    hostile = TEXTS["html"]
    content["victims"][0]["name"] = hostile
    content["classes"] = (hostile, "positive")
    write_points(tmp_path / FILE_NAME, GeometryPoints.model_validate(content))
    charts, _ = geometry_charts([tmp_path])
    assert hostile in charts[1].title
    assert charts[0].spec["data"]["values"][0]["class"] == hostile
