from __future__ import annotations

import json
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
from robench.evaluation.plan import EvaluationRequest
from robench.evaluation.sweep import (
    Point,
    last_distance,
    points,
    render_sweep,
    rows_at,
    stem,
    sweep_table,
)
from robench.results.record import Record

BASE: dict[str, Any] = {"defenses": ("rift",), "attacks": ("genetic", "pwws")}


def request(options: Mapping[str, str], **values: Any) -> EvaluationRequest:
    return EvaluationRequest(**BASE | {"options": options} | values)


# -- points ----------------------------------------------------------------------------------------------------------------------------------


def test_every_value_is_an_evaluation_of_its_own() -> None:
    found = points({"defense.alpha": "0, 0.05,0.1", "attack.population": "20"}, request)
    assert [dict(point.values) for point in found] == [
        {"defense.alpha": value} for value in ("0", "0.05", "0.1")
    ]
    assert [dict(point.request.options) for point in found] == [
        {"defense.alpha": value, "attack.population": "20"} for value in ("0", "0.05", "0.1")
    ]


def test_several_options_make_a_grid() -> None:
    found = points({"defense.alpha": "0,1", "defense.beta": "4,10"}, request)
    assert [tuple(point.values.values()) for point in found] == [
        ("0", "4"),
        ("0", "10"),
        ("1", "4"),
        ("1", "10"),
    ]
    assert stem(found) == "sweep-mini-reviews-defense.alpha-defense.beta"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing to sweep"),
        ({"defense.alpha": "0.1"}, "nothing to sweep"),
        ({"defense.alpha": "0.1,"}, "none empty and none twice"),
        ({"defense.alpha": "0.1,0.1"}, "none empty and none twice"),
    ],
)
def test_what_is_no_sweep_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        points(options, request)


@pytest.mark.parametrize("tasks", [("imdb", "snli"), ("all",)])
def test_a_sweep_is_about_one_task(tasks: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="one task"):
        points({"defense.alpha": "0,1"}, lambda options: request(options, tasks=tasks))


def test_a_sweep_needs_an_attack() -> None:
    with pytest.raises(UsageError, match="--attack"):
        points({"defense.alpha": "0,1"}, lambda options: request(options, attacks=()))


# -- rows and tables -------------------------------------------------------------------------------------------------------------------------


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
) -> tuple[list[Point], dict[str, list[Record]]]:
    """Alpha 0 and 0.1 under two attacks: 2 of 5, then 4 of 5 hold under both; the default value has no brackets in its label."""
    found = points({"defense.alpha": "0,0.1"}, lambda options: request(options, out=tmp_path))
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


def rows_of(swept: tuple[list[Point], dict[str, list[Record]]]) -> list[module.SweepRow]:
    found, records = swept
    return [
        row for point in found for row in rows_at(point, records[point.values["defense.alpha"]])
    ]


def test_the_table_has_the_option_as_a_column_and_no_labels(
    swept: tuple[list[Point], dict[str, list[Record]]],
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


def test_seeds_are_a_mean_and_a_spread(tmp_path: Path, make_record: Callable[..., Record]) -> None:
    (point, _) = points({"defense.alpha": "0,0.1"}, lambda options: request(options, out=tmp_path))
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


def test_an_attacks_option_leaves_one_column(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    found = points({"attack.population": "20,60"}, lambda options: request(options, out=tmp_path))
    rows = []
    for point, label in zip(found, ("genetic(population=20)", "genetic"), strict=True):
        rows += rows_at(
            point, [make_record("HF", defense="rift", attack="genetic", attack_label=label)]
        )
    heading, _, *lines = sweep_table(rows)
    assert heading.count("genetic") == 1
    assert [line.count("50.0 [") for line in lines] == [
        2,
        2,
    ]  # under the attack, and the worst case
    assert all(line.rstrip(" |").endswith("—") for line in lines)  # no log, no distance


def test_a_missing_or_foreign_log_is_a_gap(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    record = make_record("HF", defense="rift")
    assert last_distance(tmp_path, record) is None
    log_of(tmp_path, record, [0.5], key="another")
    assert last_distance(tmp_path, record) is None


def test_the_markdown(swept: tuple[list[Point], dict[str, list[Record]]]) -> None:
    found, records = swept
    text = render_sweep(found, rows_of(swept), [*records["0"], *records["0.1"]], "sweep.png")
    assert "# defense.alpha on mini-reviews" in text
    assert "![the same as a figure](sweep.png)" in text
    assert "> Synthetic task" in text
    assert "## Conditions" in text
    assert "sweep.png" not in render_sweep(found, rows_of(swept), records["0"], None)
    with pytest.raises(RobenchError, match="no records"):
        render_sweep(found, [], [], None)


# -- the command -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def evaluator(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> list[tuple[str, EvaluationRequest]]:
    """Stands in for ``robench.evaluation.run``: remembers its calls; alpha 9 is a value that the plan refuses."""
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

    monkeypatch.setattr(robench.evaluation.run, "evaluate", evaluate)
    monkeypatch.setattr(robench.evaluation.run, "plan", plan)
    monkeypatch.delenv("ROBENCH_DATA", raising=False)
    for name in QUIET_SETTINGS:
        monkeypatch.setenv(name, "true")
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["sweep", "--defense", "rift", "--attack", "genetic", *arguments]
    )


def test_every_point_is_checked_before_the_first_is_evaluated(
    evaluator: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    done = run("--option", "defense.alpha=0,0.1", "--no-figure", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert [call for call, _ in evaluator] == ["plan", "plan", "evaluate", "evaluate"]
    assert "defense.alpha" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sweep-mini-reviews-defense.alpha.md"]
    evaluator.clear()
    assert (
        run("--option", "defense.alpha=0,9", "--no-figure", "--out", str(tmp_path)).exit_code == 2
    )
    assert [call for call, _ in evaluator] == ["plan", "plan"]


def test_the_flags_are_those_of_evaluate(
    evaluator: list[tuple[str, EvaluationRequest]], tmp_path: Path
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
        getattr(asked, name) == value for _, asked in evaluator for name, value in wanted.items()
    )
    evaluator.clear()
    run("--option", "defense.alpha=0,1", "--no-figure")
    assert evaluator[0][1] == EvaluationRequest(
        defenses=("rift",), attacks=("genetic",), options={"defense.alpha": "0"}
    )


def test_a_dry_run_evaluates_nothing(
    evaluator: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    assert (
        run(
            "--option", "defense.alpha=0,1", "--no-figure", "--dry-run", "--out", str(tmp_path)
        ).exit_code
        == 0
    )
    assert {call for call, _ in evaluator} == {"plan"}
    assert not list(tmp_path.iterdir())


def test_nothing_to_sweep_is_a_wrong_call(evaluator: list[tuple[str, EvaluationRequest]]) -> None:
    done = run("--option", "defense.alpha=0.1")
    assert done.exit_code == 2
    assert "nothing to sweep" in done.stderr
    assert evaluator == []


def test_without_matplotlib_it_says_so_before_it_trains(
    evaluator: list[tuple[str, EvaluationRequest]], monkeypatch: pytest.MonkeyPatch
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
    assert evaluator == []


def test_it_draws(evaluator: list[tuple[str, EvaluationRequest]], tmp_path: Path) -> None:
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
    """Stands in for ``evaluate``: two attacks at each alpha, but where ``values`` has an error for it."""

    def evaluate(asked: EvaluationRequest, report: Any) -> list[Record]:
        alpha = asked.options["defense.alpha"]
        if alpha in values:
            raise values[alpha]
        return [
            make_record("WFHHH", defense="rift", label=f"rift(alpha={alpha})", attack=name)
            for name in ("genetic", "pwws")
        ]

    return evaluate


def test_a_point_that_fails_does_not_end_the_others(
    evaluator: list[tuple[str, EvaluationRequest]],
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
        "Error: Parts of the run that failed: 2; all else is finished. defense.alpha=0: It broke down. rift(alpha=1), under pwws: No.\n",
    )
    lines = [
        line
        for line in (tmp_path / "sweep-mini-reviews-defense.alpha.md").read_text().splitlines()
        if line.startswith("| rift")
    ]
    cells = [[cell.strip().split(" ")[0] for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:-1] for row in cells] == [
        ["rift", "0", "0", "—", "—", "—", "—", "—"],
        ["rift", "1", "1", "5", "80.0", "80.0", "—", "—"],  # one attack is no worst case of two
        ["rift", "2", "1", "5", "80.0", "60.0", "60.0", "60.0"],
    ]
    assert "rift" in done.stdout


def test_a_sweep_of_which_nothing_is_left_writes_nothing(
    evaluator: list[tuple[str, EvaluationRequest]],
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


def test_a_figure_has_gaps(
    evaluator: list[tuple[str, EvaluationRequest]],
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


def test_all_points_go_through_one_engine(
    evaluator: list[tuple[str, EvaluationRequest]], tmp_path: Path
) -> None:
    found = points({"defense.alpha": "0,1"}, lambda options: request(options, out=tmp_path))
    rows, records = module.sweep(found, Silent())
    assert [row.values["defense.alpha"] for row in rows] == ["0", "1"]
    assert len(records) == 2
