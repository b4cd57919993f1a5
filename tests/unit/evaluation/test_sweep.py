"""Sweeps: their points, rows and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import RobenchError, UsageError
from robench.evaluation import sweep as module
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.sweep import (
    SweepPoint,
    file_stem,
    last_distance,
    rows_at,
    sweep_points,
)
from robench.evaluation.sweep_table import render_sweep, sweep_on_terminal, sweep_table
from robench.records.record import Record
from robench.records.run_folder import RunFolder

BASE: dict[str, Any] = {"defenses": ("rift",), "attacks": ("genetic", "pwws")}


def request(options: Mapping[str, str], **values: Any) -> EvaluationRequest:
    return EvaluationRequest(**BASE | {"options": options} | values)


# -- Points --


def test_each_value_of_a_swept_option_gives_a_point() -> None:
    found = sweep_points({"defense.alpha": "0, 0.05,0.1", "attack.population": "20"}, request)
    assert [dict(point.values) for point in found] == [
        {"defense.alpha": value} for value in ("0", "0.05", "0.1")
    ]
    assert [dict(point.request.options) for point in found] == [
        {"defense.alpha": value, "attack.population": "20"} for value in ("0", "0.05", "0.1")
    ]


def test_several_swept_options_give_all_combinations() -> None:
    found = sweep_points({"defense.alpha": "0,1", "defense.beta": "4,10"}, request)
    assert [tuple(point.values.values()) for point in found] == [
        ("0", "4"),
        ("0", "10"),
        ("1", "4"),
        ("1", "10"),
    ]
    assert file_stem(found) == "sweep-mini-reviews-defense.alpha-defense.beta"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing to sweep"),
        ({"defense.alpha": "0.1"}, "nothing to sweep"),
        ({"defense.alpha": "0.1,"}, "none empty and none twice"),
        ({"defense.alpha": "0.1,0.1"}, "none empty and none twice"),
    ],
)
def test_options_that_are_not_a_sweep_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        sweep_points(options, request)


@pytest.mark.parametrize("tasks", [("imdb", "snli"), ("all",)])
def test_a_sweep_over_several_tasks_is_refused(tasks: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="one task"):
        sweep_points({"defense.alpha": "0,1"}, lambda options: request(options, tasks=tasks))


def test_a_sweep_without_an_attack_is_refused() -> None:
    with pytest.raises(UsageError, match="--attack"):
        sweep_points({"defense.alpha": "0,1"}, lambda options: request(options, attacks=()))


# -- Rows and tables --


def log_of(out: Path, record: Record, distances: list[float], key: str | None = None) -> None:
    folder = (
        out / "victims" / f"rift-toy-tiny-s{record.search.seed}-{record.victim.configuration[:8]}"
    )
    folder.mkdir(parents=True)
    epochs = [
        {"epoch": number + 1, "distance": distance} for number, distance in enumerate(distances)
    ]
    (folder / "training.json").write_text(
        json.dumps({"key": key or record.victim.configuration, "epochs": epochs})
    )


@pytest.fixture
def swept(
    tmp_path: Path, make_record: Callable[..., Record]
) -> tuple[list[SweepPoint], dict[str, list[Record]]]:
    """Return the points alpha = 0 and 0.1, and their records under two attacks.

    With alpha = 0, 2 of 5 examples hold under both attacks, and with 0.1, 4 of 5. 0.1 is the
    default, so its label has no brackets.
    """
    found = sweep_points({"defense.alpha": "0,0.1"}, lambda options: request(options, out=tmp_path))
    records = {
        "0": [
            make_record("WFFHH", defense="rift", label="rift(alpha=0.0)", attack=name)
            for name in ("genetic", "pwws")
        ],
        "0.1": [make_record("WHHHH", defense="rift", attack=name) for name in ("genetic", "pwws")],
    }
    for value, distances in (("0", [0.5, 0.25]), ("0.1", [0.125, 0.0625])):
        log_of(tmp_path, records[value][0], distances)
    return found, records


def rows_of(swept: tuple[list[SweepPoint], dict[str, list[Record]]]) -> list[module.SweepRow]:
    found, records = swept
    return [
        row for point in found for row in rows_at(point, records[point.values["defense.alpha"]])
    ]


def test_the_table_has_a_column_for_the_option_and_names_without_options(
    swept: tuple[list[SweepPoint], dict[str, list[Record]]],
) -> None:
    heading, _, first, second = sweep_table(rows_of(swept))
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in (heading, first, second)
    ]
    assert cells[0] == [
        "defense",
        "defense.alpha",
        "seeds",
        "n",
        "clean accuracy",
        "genetic",
        "pwws",
        "worst case",
        "distance",
    ]
    assert cells[1][:4] == ["rift", "0", "1", "5"]
    assert [cell.split(" ")[0] for cell in cells[1][4:]] == [
        "80.0",
        "40.0",
        "40.0",
        "40.0",
        "0.2500",
    ]
    assert [cell.split(" ")[0] for cell in cells[2][4:]] == [
        "80.0",
        "80.0",
        "80.0",
        "80.0",
        "0.0625",
    ]


def test_several_seeds_show_their_mean_and_deviation(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    (point, _) = sweep_points(
        {"defense.alpha": "0,0.1"}, lambda options: request(options, out=tmp_path)
    )
    records = [
        make_record(outcomes, defense="rift", seed=seed)
        for seed, outcomes in enumerate(("HHFF", "HHHH"))
    ]
    for record, distance in zip(records, (0.1, 0.3), strict=True):
        log_of(tmp_path, record, [distance])
    (row,) = rows_at(point, records)
    line = sweep_table([row])[-1]
    assert "75.0 ± 35.4" in line
    assert "0.2000 ± 0.1414" in line


def test_a_swept_option_of_an_attack_keeps_one_column(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    found = sweep_points(
        {"attack.population": "20,60"}, lambda options: request(options, out=tmp_path)
    )
    rows = []
    for point, label in zip(found, ("genetic(population=20)", "genetic"), strict=True):
        rows += rows_at(
            point, [make_record("HF", defense="rift", attack="genetic", attack_label=label)]
        )
    heading, _, *lines = sweep_table(rows)
    assert heading.count("genetic") == 1
    # One score under the attack, and one for the worst case.
    assert [line.count("50.0 [") for line in lines] == [2, 2]
    # Without a log there is no distance.
    assert all(line.rstrip(" |").endswith("—") for line in lines)


def test_without_the_log_of_the_victim_there_is_no_distance(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    record = make_record("HF", defense="rift")
    assert last_distance(RunFolder(tmp_path), record) is None
    log_of(tmp_path, record, [0.5], key="another")
    assert last_distance(RunFolder(tmp_path), record) is None


def test_a_terminal_says_what_the_numbers_of_a_sweep_mean(
    swept: tuple[list[SweepPoint], dict[str, list[Record]]],
) -> None:
    _, records = swept
    text = sweep_on_terminal(rows_of(swept), [*records["0"], *records["0.1"]])
    title, top, heading, *_ = text.splitlines()
    assert title.startswith("toy, encoder tiny, protocol rift2021")
    assert top.startswith("╭")
    assert "defense.alpha" in heading
    assert "Accuracy in % of all n examples [95 % Wilson interval]" in text
    assert "Worst case: right under every attack of the table" in text
    assert "Distance: L2 distance of the encoder's weights" in text
    assert "No test compares them." in text
    assert "Synthetic task" in text


@pytest.mark.parametrize("width", [60, 100])
def test_no_line_of_a_sweep_is_wider_than_the_terminal(
    width: int, swept: tuple[list[SweepPoint], dict[str, list[Record]]]
) -> None:
    _, records = swept
    text = sweep_on_terminal(rows_of(swept), [*records["0"], *records["0.1"]], width)
    assert max(map(len, text.splitlines())) <= width
    # Each part of a table that was split names the row: the defense and the swept value.
    tops = [line for line in text.splitlines() if line.startswith("╭")]
    assert text.count("defense.alpha") + text.count("defense.\nalpha") >= len(tops)


def test_the_markdown_of_a_sweep(swept: tuple[list[SweepPoint], dict[str, list[Record]]]) -> None:
    found, records = swept
    text = render_sweep(found, rows_of(swept), [*records["0"], *records["0.1"]], "sweep.png")
    assert "# defense.alpha on mini-reviews" in text
    assert "![the table as a figure](sweep.png)" in text
    assert "> Synthetic task" in text
    assert "## Conditions" in text
    assert "sweep.png" not in render_sweep(found, rows_of(swept), records["0"], None)
    # The page says what its own columns and its own order mean, and not those of a board.
    assert "- **Worst case**: an example counts if it is right under every attack" in text
    assert "Rows stand in the order in which the values were given." in text
    assert not set("{}") & set(text)
    assert "group" not in text
    assert "table of every cell" not in text
    with pytest.raises(RobenchError, match="no records"):
        render_sweep(found, [], [], None)
