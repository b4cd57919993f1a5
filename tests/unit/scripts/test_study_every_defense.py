"""The training table of the study of every defense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from scripts.study_every_defense import main, spread

EPOCH = {"dev_accuracy": 0.9, "dev_hull_accuracy": 0.5, "distance": 0.04, "dev_information": 1.0}


def victim(run: Path, name: str, seed: int, selected: int, *epochs: dict[str, Any]) -> None:
    folder = run / "victims" / f"{name}-s{seed}-{selected}"
    folder.mkdir(parents=True)
    (folder / "victim.json").write_text(json.dumps({"name": name, "seed": seed}))
    kept = {"selected_epoch": selected, "epochs": [{**EPOCH, **each} for each in epochs]}
    (folder / "training.json").write_text(json.dumps(kept))


def printed(run: Path) -> Result:
    return CliRunner().invoke(main, [str(run)])


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()[2:]
    return [[each.strip() for each in line.strip("|").split("|")] for line in lines]


def test_a_row_has_the_mean_and_the_range_of_its_trainings(tmp_path: Path) -> None:
    first = ({"loss": 0.5}, {"loss": 0.25, "dev_accuracy": 0.95, "distance": 0.05})
    victim(tmp_path, "rift", 0, 2, *first)
    victim(tmp_path, "rift", 1, 1, {"loss": 0.7}, {"loss": 0.35, "distance": 0.07})
    (row,) = rows(printed(tmp_path))
    assert row == [
        "`rift`",
        "2",
        "0.600 [0.500, 0.700]",
        "0.300 [0.250, 0.350]",
        "2, 1",
        "92.5 [90.0, 95.0]",
        "50.0",
        "0.0600 [0.0500, 0.0700]",
        "1.00",
    ]


def test_seeds_are_in_their_order_and_defenses_by_name(tmp_path: Path) -> None:
    for seed in (10, 2):
        victim(tmp_path, "standard", seed, 1 + (seed == 2), {"loss": 1.0}, {"loss": 0.5})
    victim(tmp_path, "ascc", 0, 1, {"loss": 1.0})
    assert [(row[0], row[4]) for row in rows(printed(tmp_path))] == [
        ("`ascc`", "1"),
        ("`standard`", "2, 1"),
    ]


def test_a_training_without_information_has_a_dash(tmp_path: Path) -> None:
    victim(tmp_path, "ranmask", 0, 1, {"loss": 1.0, "dev_information": None})
    assert rows(printed(tmp_path))[0][-1] == "—"


def test_two_trainings_of_one_seed_are_refused(tmp_path: Path) -> None:
    for selected in (1, 2):
        victim(tmp_path, "rift", 0, selected, {"loss": 1.0}, {"loss": 1.0})
    result = printed(tmp_path)
    assert result.exit_code == 1
    assert "two trainings of rift with seed 0" in result.output


def test_a_folder_without_victims_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victims").mkdir()
    result = printed(tmp_path)
    assert result.exit_code == 1
    assert "has no victims" in result.output


def test_equal_values_have_no_range() -> None:
    assert spread([0.1234, 0.1233], 2, 100) == "12.34 [12.33, 12.34]"
    assert spread([0.1234, 0.1233], 0, 100) == "12"
