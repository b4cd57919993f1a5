"""Attacks on other substitution sets: surfaces, columns, records and what a training used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import FinishedRun, Listening
from toy import BAD, GOOD

from robench._base.errors import UsageError
from robench.evaluation.run import Silent, build_request, evaluate, plan
from robench.records.leaderboard import results_table
from robench.records.record import Record
from robench.records.record_files import read_records
from robench.text.surface import read


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that may turn every opinion into its opposite, so that every text can be broken."""
    path = tmp_path_factory.mktemp("sets") / "opposites.json"
    path.write_text(json.dumps({word: [*BAD, *GOOD] for word in (*GOOD, *BAD)}))
    return path


@pytest.fixture(scope="module")
def run(toy: dict[str, Any], other: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """One finished evaluation with an attack on two sets."""
    request = build_request(
        defenses=("rift",),
        attacks=("pwws", f"pwws@{other}", f"genetic@{other}"),
        out=tmp_path_factory.mktemp("out"),
        **toy,
    )
    return request, evaluate(request, Silent())


def test_each_set_has_a_surface_and_each_attack_a_record(run: FinishedRun) -> None:
    request, records = run
    names = ["pwws", "pwws@opposites.json", "genetic@opposites.json"]
    assert [record.attack.name for record in records] == names
    own, second, third = (record.surface for record in records)
    assert own.own_key is None
    assert second.key == third.key != own.key
    assert second.own_key == third.own_key == own.key
    assert (own.substitutions, second.substitutions) == ("swaps", "opposites")
    assert second.held_out is False
    assert {path.stem for path in (request.out / "surfaces").iterdir()} == {own.key, second.key}
    assert len({record.cell for record in records}) == 3
    assert len({record.victim.sha256 for record in records}) == 1
    assert list(read_records(request.out / "records").values()) == sorted(
        records, key=lambda record: record.file_name
    )


def test_the_search_finds_what_its_own_set_allows(run: FinishedRun) -> None:
    request, records = run
    table = read(
        request.out / "surfaces" / f"{records[1].surface.key}.parquet", records[1].surface.key
    )
    assert table.meta["substitutes"] == 11 * table.meta["positions"]
    assert records[1].counts.fooled > 0
    # The language model binds genetic alone, on this set as well.
    assert [record.surface.constrained for record in records] == [False, False, True]


def test_one_table_shows_the_sets_beside_each_other(run: FinishedRun) -> None:
    request, records = run
    board = (request.out / "leaderboard.md").read_text()
    assert board.count("\n## toy") == 1
    assert "pwws@opposites.json" in results_table(records)
    assert "The attacks search different substitution sets." in board
    assert "Substitution sets: genetic@opposites.json(" in board


def test_the_same_run_again_does_nothing(run: FinishedRun) -> None:
    request, records = run
    cells = plan(request)
    assert [(cell.attack or "").partition("(")[0] for cell in cells] == [
        "pwws",
        "pwws@opposites.json",
        "genetic@opposites.json",
    ]
    assert {(cell.surface, cell.done, cell.total) for cell in cells} == {("reuse", 30, 30)}
    report = Listening()
    assert evaluate(request, report) == records
    assert "attack" not in report.phases


def test_the_embeddings_of_the_encoder_are_a_set(toy: dict[str, Any], tmp_path: Path) -> None:
    request = build_request(
        defenses=("standard",),
        attacks=("greedy@embeddings",),
        limit=4,
        out=tmp_path,
        **toy | {"options": _loop(toy)},
    )
    (record,) = evaluate(request, Silent())
    assert record.surface.substitutions == "embeddings of encoder"
    assert record.attack.label == "greedy@embeddings"


def test_what_a_defense_trained_on_is_recorded_and_marked(
    toy: dict[str, Any], tmp_path: Path, other: Path
) -> None:
    request = build_request(
        defenses=("augmentation", "standard"),
        attacks=("greedy", f"greedy@{other}"),
        out=tmp_path,
        **toy | {"options": {**_loop(toy), "augmentation.attack": "greedy"}},
    )
    records = {
        (record.row_name, record.attack.name): record for record in evaluate(request, Silent())
    }
    trained = _trained(records["augmentation", "greedy"])
    assert (trained.substitutions, [each.name for each in trained.attacks]) == ("swaps", ["greedy"])
    assert _trained(records["standard", "greedy"]).substitutions is None
    lines = [line for line in results_table(list(records.values())).splitlines() if "†" in line]
    cell, note = lines
    assert "augmentation" in cell
    assert cell.count("†") == 1
    assert note.startswith("† trained on this attack: augmentation(")


def _loop(toy: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in toy["options"].items() if key.startswith("defense.")}


def _trained(record: Record) -> Any:
    assert record.trained_on is not None
    return record.trained_on


def test_sets_that_a_table_could_not_tell_apart_are_refused(
    toy: dict[str, Any], other: Path, tmp_path: Path
) -> None:
    second = tmp_path / other.name
    second.write_text(json.dumps({"good": ["bad"]}))
    request = build_request(
        defenses=("standard",),
        attacks=(f"pwws@{other}", f"pwws@{second}"),
        out=tmp_path,
        **toy | {"options": _loop(toy)},
    )
    with pytest.raises(UsageError, match=r"would both have the column 'pwws@opposites\.json'"):
        plan(request)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        ("pwws@held-outt", "There is no substitution set 'held-outt'. Did you mean 'held-out'?"),
        ("pwws@", "'pwws@' names no substitution set after '@'."),
        ("all@wordnet", "WordNet was not found"),
    ],
)
def test_the_command_line_refuses_a_wrong_set_with_one_sentence(
    attack: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "robench", "evaluate", "--defense", "standard"),
            *("--attack", attack, "--data", str(tmp_path / "data")),
            *("--out", str(tmp_path / "out"), "--dry-run"),
        ],
        capture_output=True,
        text=True,
        env=_environment(tmp_path),
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment without the data of NLTK."""
    return {**os.environ, "NLTK_DATA": str(folder), "HOME": str(folder), "COLUMNS": "300"}
