"""The command ``robench sweep``, with ``evaluate`` and ``plan`` replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.quiet import QUIET_SETTINGS
from robench._base.reporting import Silent
from robench.cli import main
from robench.evaluation import sweep as module
from robench.evaluation.cost_plan import Plan
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.sweep import (
    sweep_points,
)
from robench.records.record import Record

BASE: dict[str, Any] = {"defenses": ("rift",), "attacks": ("genetic", "pwws")}


def request(options: Mapping[str, str], **values: Any) -> EvaluationRequest:
    return EvaluationRequest(**BASE | {"options": options} | values)


@pytest.fixture
def run_calls(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> list[tuple[str, EvaluationRequest]]:
    """Replace ``evaluate`` and ``plan``, and return their calls. ``plan`` refuses alpha = 9."""
    import robench.evaluation.run

    calls: list[tuple[str, EvaluationRequest]] = []

    def evaluate(asked: EvaluationRequest, report: Any) -> list[Record]:
        calls.append(("evaluate", asked))
        return [
            make_record(
                "WFHHH",
                defense="rift",
                label=f"rift(alpha={asked.options['defense.alpha']})",
                attack="genetic",
            )
        ]

    def plan(asked: EvaluationRequest) -> list[Any]:
        calls.append(("plan", asked))
        if asked.options["defense.alpha"] == "9":
            raise UsageError("Too much.")
        return []

    def plan_with_costs(asked: EvaluationRequest, *, measure: bool) -> Plan:
        return Plan(cells=tuple(plan(asked)), parts=(), device="Xeon", gpu=False, past=None)

    monkeypatch.setattr(robench.evaluation.run, "evaluate", evaluate)
    monkeypatch.setattr(robench.evaluation.run, "plan", plan)
    monkeypatch.setattr(robench.evaluation.run, "plan_with_costs", plan_with_costs)
    monkeypatch.delenv("ROBENCH_DATA", raising=False)
    for name in QUIET_SETTINGS:
        monkeypatch.setenv(name, "true")
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["sweep", "--defense", "rift", "--attack", "genetic", *arguments]
    )


def test_all_points_are_checked_before_the_first_is_evaluated(
    run_calls: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    done = run("--option", "defense.alpha=0,0.1", "--no-figure", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert [call for call, _ in run_calls] == ["plan", "plan", "evaluate", "evaluate"]
    assert "defense.alpha" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sweep-mini-reviews-defense.alpha.md"]
    run_calls.clear()
    assert (
        run("--option", "defense.alpha=0,9", "--no-figure", "--out", str(tmp_path)).exit_code == 2
    )
    assert [call for call, _ in run_calls] == ["plan", "plan"]


def test_the_options_of_evaluate_reach_every_point(
    run_calls: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    run(
        "--option",
        "defense.alpha=0,1",
        "--no-figure",
        "--limit",
        "50",
        "--seed",
        "3",
        "--precision",
        "bf16",
        "--out",
        str(tmp_path),
    )
    wanted = {"limit": 50, "seeds": (3,), "precision": "bf16", "out": tmp_path}
    assert all(
        getattr(asked, name) == value for _, asked in run_calls for name, value in wanted.items()
    )
    run_calls.clear()
    run("--option", "defense.alpha=0,1", "--no-figure")
    assert run_calls[0][1] == EvaluationRequest(
        defenses=("rift",), attacks=("genetic",), options={"defense.alpha": "0"}
    )


def test_a_dry_run_evaluates_nothing(
    run_calls: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    assert (
        run(
            "--option", "defense.alpha=0,1", "--no-figure", "--dry-run", "--out", str(tmp_path)
        ).exit_code
        == 0
    )
    assert {call for call, _ in run_calls} == {"plan"}
    assert not list(tmp_path.iterdir())


def test_a_call_without_a_swept_option_is_a_usage_error(
    run_calls: list[tuple[str, EvaluationRequest]],
) -> None:
    done = run("--option", "defense.alpha=0.1")
    assert done.exit_code == 2
    assert "nothing to sweep" in done.stderr
    assert run_calls == []


def test_missing_matplotlib_is_reported_before_training(
    run_calls: list[tuple[str, EvaluationRequest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "matplotlib" else find(name, *rest),
    )
    done = run("--option", "defense.alpha=0,1")
    assert done.exit_code == 2
    assert (
        "Figures need matplotlib, which this Python does not have: pip install 'robench[plots]'."
        in done.stderr
    )
    assert run_calls == []


def test_the_command_writes_the_figure(
    run_calls: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    done = run("--option", "defense.alpha=0,1", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "sweep-mini-reviews-defense.alpha.png").read_bytes().startswith(b"\x89PNG")
    assert (
        "(sweep-mini-reviews-defense.alpha.png)"
        in (tmp_path / "sweep-mini-reviews-defense.alpha.md").read_text()
    )


def failing_at(
    values: Mapping[str, Exception], make_record: Callable[..., Record]
) -> Callable[[EvaluationRequest, Any], list[Record]]:
    """Return a replacement for ``evaluate``.

    It returns records of two attacks, or raises the error that ``values`` has for the alpha.
    """

    def evaluate(asked: EvaluationRequest, report: Any) -> list[Record]:
        alpha = asked.options["defense.alpha"]
        if alpha in values:
            raise values[alpha]
        return [
            make_record("WFHHH", defense="rift", label=f"rift(alpha={alpha})", attack=name)
            for name in ("genetic", "pwws")
        ]

    return evaluate


def test_the_other_points_continue_after_one_failed(
    run_calls: list[tuple[str, EvaluationRequest]],
    monkeypatch: pytest.MonkeyPatch,
    make_record: Callable[..., Record],
    tmp_path: Path,
) -> None:
    half = Incomplete(
        {"No.": ["rift(alpha=1), under pwws"]},
        [make_record("WHHHH", defense="rift", label="rift(alpha=1)", attack="genetic")],
    )
    errors = {"0": RobenchError("It broke down."), "1": half}
    monkeypatch.setattr("robench.evaluation.run.evaluate", failing_at(errors, make_record))
    done = run("--quiet", "--option", "defense.alpha=0,1,2", "--no-figure", "--out", str(tmp_path))
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: Parts of the run that failed: 2; all else is finished. "
        "defense.alpha=0: It broke down. rift(alpha=1), under pwws: No.\n",
    )
    lines = [
        line
        for line in (tmp_path / "sweep-mini-reviews-defense.alpha.md").read_text().splitlines()
        if line.startswith("| rift")
    ]
    cells = [[cell.strip().split(" ")[0] for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:-1] for row in cells] == [
        ["rift", "0", "0", "—", "—", "—", "—", "—"],
        # A worst case needs both attacks.
        ["rift", "1", "1", "5", "80.0", "80.0", "—", "—"],
        ["rift", "2", "1", "5", "80.0", "60.0", "60.0", "60.0"],
    ]
    assert "rift" in done.stdout


def test_a_sweep_without_any_record_writes_nothing(
    run_calls: list[tuple[str, EvaluationRequest]],
    monkeypatch: pytest.MonkeyPatch,
    make_record: Callable[..., Record],
    tmp_path: Path,
) -> None:
    errors = dict.fromkeys("01", RobenchError("It broke down."))
    monkeypatch.setattr("robench.evaluation.run.evaluate", failing_at(errors, make_record))
    done = run("--quiet", "--option", "defense.alpha=0,1", "--no-figure", "--out", str(tmp_path))
    assert (done.exit_code, done.stdout, list(tmp_path.iterdir())) == (1, "", [])
    assert (
        "failed: 2; all else is finished. defense.alpha=0, defense.alpha=1: It broke down."
        in done.stderr
    )


def test_a_figure_is_drawn_although_a_point_failed(
    run_calls: list[tuple[str, EvaluationRequest]],
    monkeypatch: pytest.MonkeyPatch,
    make_record: Callable[..., Record],
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(
        "robench.evaluation.run.evaluate",
        failing_at({"0": RobenchError("It broke down.")}, make_record),
    )
    assert run("--quiet", "--option", "defense.alpha=0,1", "--out", str(tmp_path)).exit_code == 1
    assert (tmp_path / "sweep-mini-reviews-defense.alpha.png").read_bytes().startswith(b"\x89PNG")


def test_rows_and_records_of_all_points_are_returned(
    run_calls: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    found = sweep_points({"defense.alpha": "0,1"}, lambda options: request(options, out=tmp_path))
    rows, records = module.sweep(found, Silent())
    assert [row.values["defense.alpha"] for row in rows] == ["0", "1"]
    assert len(records) == 2
