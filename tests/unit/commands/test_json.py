"""``--json``: stdout is exactly one JSON document, whatever happens."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from robench._base.errors import Incomplete, RobenchError
from robench.cli import main
from robench.commands import shell
from robench.commands.results_data import cell_data, failed_parts
from robench.records.rates import rates
from robench.records.record import Record

PAIR = ("--defense", "rift", "--attack", "genetic")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def document(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments)
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def emitting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``robench fake``, which prints the given documents."""

    def run_with(*documents: Any) -> Result:
        @click.command("fake")
        @shell.global_flags
        def fake() -> None:
            for each in documents:
                shell.emit(each)

        monkeypatch.setitem(main.commands, "fake", fake)
        return run("fake", "--json")

    return run_with


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "protocols"),
        ("show", "tiny"),
        ("show", "protocol", "subword"),
        ("doctor",),
        ("new", "defense", "my-own", "--out", "FOLDER"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_commands_print_one_document(
    arguments: tuple[str, ...], before: bool, tmp_path: Path
) -> None:
    words = tuple(str(tmp_path) if word == "FOLDER" else word for word in arguments)
    assert document(*(("--json", *words) if before else (*words, "--json")))


def test_every_command_takes_the_flag() -> None:
    for name in main.commands:
        assert "--json" in run(name, "--help").stdout, name


@dataclass
class Point:
    place: Path
    size: int


def test_dataclasses_and_paths_are_plain_data(emitting: Callable[..., Result]) -> None:
    result = emitting({"point": Point(Path("a/b"), 3), "names": ("ü", None)})
    assert json.loads(result.stdout) == {
        "point": {"place": "a/b", "size": 3},
        "names": ["ü", None],
    }
    assert "ü" in result.stdout


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_document_never_holds_nan(emitting: Callable[..., Result], number: float) -> None:
    result = emitting({"rate": number})
    assert result.exit_code == 1
    assert json.loads(result.stdout)["exit_code"] == 1
    assert "NaN" not in result.stdout


def test_a_second_document_is_refused(emitting: Callable[..., Result]) -> None:
    result = emitting({"a": 1}, {"b": 2})
    assert json.loads(result.stdout) == {"a": 1}
    assert result.exit_code == 1
    assert "has printed its JSON document already" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--json", "lst"), "There is no command 'lst'."),
        (("list", "attaks", "--json"), "There is no kind 'attaks'."),
        (("evaluate", "--json", "--nonsense"), "There is no option '--nonsense'."),
        (("evaluate", "--nonsense", "--json"), "There is no option '--nonsense'."),
        (("evaluate", *PAIR, "--limit", "x", "--json"), "Invalid value for '--limit'"),
    ],
)
def test_an_error_is_a_document_and_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    result = run(*arguments)
    data = json.loads(result.stdout)
    assert result.exit_code == data["exit_code"] == 2
    assert data["error"].startswith(sentence)
    assert result.stderr == f"Error: {data['error']}\n"


def test_without_the_flag_an_error_prints_nothing_on_stdout() -> None:
    assert run("lst").stdout == ""


def test_an_evaluation_prints_its_cells(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> None:
    record = make_record("WFHHH")
    monkeypatch.setattr("robench.evaluation.run.evaluate", lambda request, report: [record])
    data = document("evaluate", *PAIR, "--json", "--out", "kept")
    assert data["leaderboard"] == "kept/leaderboard.md"
    assert data["records"] == "kept/records"
    assert data["failed"] == []
    (cell,) = data["cells"]
    assert cell["victim"] == record.row
    assert (cell["clean_accuracy"], cell["accuracy_under_attack"]) == (0.8, 0.6)
    assert cell["attack_success_rate"] == 0.25
    assert cell["counts"]["held"] == 3
    assert cell["record"] == f"kept/records/{record.file_name}"


def test_a_partly_failed_evaluation_names_the_failed_parts(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> None:
    def evaluate(request: Any, report: Any) -> Any:
        raise Incomplete({"no.": ["rift on toy"]}, [make_record("WFHHH")])

    monkeypatch.setattr("robench.evaluation.run.evaluate", evaluate)
    data = document("evaluate", *PAIR, "--json", code=1)
    assert data["failed"] == [{"reason": "no.", "parts": ["rift on toy"]}]
    assert len(data["cells"]) == 1


def test_a_failed_evaluation_prints_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(request: Any, report: Any) -> Any:
        raise RobenchError("The checkpoint is damaged.")

    monkeypatch.setattr("robench.evaluation.run.evaluate", evaluate)
    assert document("evaluate", *PAIR, "--json", code=1) == {
        "error": "The checkpoint is damaged.",
        "exit_code": 1,
    }


def test_examples_with_errors_have_no_rates(make_record: Callable[..., Record]) -> None:
    record = make_record("WFEEH")
    assert set(rates(record).values()) == {None}
    assert cell_data(record, Path("records"))["counts"].error == 2


def test_a_training_prints_its_victims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "robench.evaluation.run.train_only", lambda request, report: [Path("runs/victims/a")]
    )
    data = document("train", "--defense", "rift", "--json")
    assert data == {"victims": ["runs/victims/a"], "failed": []}


def test_a_dry_run_prints_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    from robench.evaluation.cost_plan import Plan, PlannedPart, PlannedRange
    from robench.evaluation.plan import PlannedCell

    cell = PlannedCell(
        task="toy",
        defense="rift",
        attack="pwws",
        seed=0,
        victim="train",
        surface="build",
        done=0,
        total=9,
    )
    seconds = PlannedRange(low=1800, likely=3600, high=7200, source="measured here on 1 cell")
    part = PlannedPart(
        kind="attack", title="rift with pwws", key="x", queries=None, rows=None, seconds=seconds
    )
    planned = Plan(cells=(cell,), parts=(part,), device="H100", gpu=True, past=None)
    monkeypatch.setattr("robench.evaluation.run.plan_with_costs", lambda *_, **__: planned)
    data = document("evaluate", *PAIR, "--dry-run", "--json")
    assert data["cells"] == [cell.model_dump()]
    assert data["parts"] == [part.model_dump()]
    assert data["total"] == {
        "low": 1800,
        "likely": 3600,
        "high": 7200,
        "unknown": 0,
        "gpu_hours": [0.5, 2.0],
    }
    assert (data["past"], data["device"]) == (None, "H100")


def test_no_failure_is_an_empty_list() -> None:
    assert failed_parts(None) == []
