"""``train`` and ``evaluate``: requests, output and exit codes.

Fake functions take the place of those of ``robench.evaluation.run``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from trial_runs import write_run

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.reporting import Reporter
from robench.cli import main
from robench.commands.option_pairs import parse_options
from robench.commands.running import make_reporter
from robench.commands.shell import Session
from robench.evaluation.cost_plan import Plan
from robench.evaluation.request import EvaluationRequest
from robench.records.record import Record
from robench.search.attack import Trial, Verdict

PAIR = ("--defense", "rift", "--attack", "genetic")


@pytest.fixture
def fake_run(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> SimpleNamespace:
    """Replace the functions of ``robench.evaluation.run``, and return what they were given.

    ``evaluate`` keeps the request, reports one phase, and returns one record or raises ``error``.
    """
    import robench.evaluation.run

    seen = SimpleNamespace(request=None, error=None, trained=[], cells=[])

    def evaluate(request: EvaluationRequest, report: Reporter) -> list[Record]:
        seen.request = request
        report.message("The victim is there.")
        report.started("attack", "genetic against rift", 1000)
        report.advanced(500, 1000, "held 400")
        if seen.error is not None:
            raise seen.error
        report.finished("held 800 of 1000")
        return [make_record("WFHHH")]

    def train_only(request: EvaluationRequest, report: Reporter) -> list[Path]:
        seen.request = request
        return [Path("runs/victims/rift-a"), Path("runs/victims/rift-b")]

    def plan_with_costs(
        request: EvaluationRequest, report: Reporter, *, measure: bool = False
    ) -> Plan:
        seen.request, seen.measured = request, measure
        report.message("Something was guessed.")
        cells = tuple(seen.cells)
        return Plan(cells=cells, parts=(), device="Xeon (2 cores)", gpu=False, past=None)

    for function in (evaluate, train_only, plan_with_costs):
        monkeypatch.setattr(robench.evaluation.run, function.__name__, function)
    return seen


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_click_and_the_request_have_the_same_defaults(fake_run: SimpleNamespace) -> None:
    """Two lists of defaults could drift apart."""
    assert run("evaluate", *PAIR).exit_code == 0
    assert fake_run.request == EvaluationRequest(defenses=("rift",), attacks=("genetic",))


def test_every_flag_reaches_the_request(fake_run: SimpleNamespace, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("x\n")
    grid = (
        "--defense",
        "standard",
        "--defense",
        "rift",
        "--attack",
        "all",
        "--task",
        "imdb",
        "--task",
        "snli",
        "--seed",
        "0",
        "--seed",
        "2",
    )
    model = (
        "--encoder",
        "bert-base-uncased",
        "--protocol",
        "subword",
        "--option",
        "defense.alpha=0.3",
        "--option",
        "attack.population=20",
    )
    data = (
        "--data",
        str(tmp_path),
        "--no-hub",
        "--train-pool",
        "small",
        "--ids",
        str(ids),
        "--lm",
        "none",
    )
    search = (
        "--limit",
        "10",
        "--budget",
        "99",
        "--workers",
        "2",
        "--device",
        "cpu",
        "--precision",
        "bf16",
        "--search-precision",
        "bf16",
        "--retrain",
        "--tracker",
        "tensorboard",
        "--out",
        str(tmp_path / "out"),
    )
    assert run("evaluate", *grid, *model, *data, *search).exit_code == 0
    assert fake_run.request == EvaluationRequest(
        defenses=("standard", "rift"),
        attacks=("all",),
        tasks=("imdb", "snli"),
        seeds=(0, 2),
        encoder="bert-base-uncased",
        protocol="subword",
        options={"defense.alpha": "0.3", "attack.population": "20"},
        data=tmp_path,
        hub=False,
        train_pool="small",
        ids=ids,
        lm="none",
        limit=10,
        budget=99,
        workers=2,
        device="cpu",
        precision="bf16",
        search_precision="bf16",
        retrain=True,
        trackers=("tensorboard",),
        out=tmp_path / "out",
    )


@pytest.mark.parametrize(("given", "workers"), [("auto", None), ("3", 3)])
def test_workers_are_a_number_or_auto(
    fake_run: SimpleNamespace, given: str, workers: int | None
) -> None:
    assert run("evaluate", *PAIR, "--workers", given).exit_code == 0
    assert fake_run.request.workers == workers


@pytest.mark.parametrize("given", ["0", "many", "Auto"])
def test_other_values_of_workers_are_refused(fake_run: SimpleNamespace, given: str) -> None:
    result = run("evaluate", *PAIR, "--workers", given)
    assert (result.exit_code, fake_run.request) == (2, None)
    assert f"'--workers': {given}" in result.stderr.replace("'" + given + "'", given)
    assert result.stderr.count("\n") == 1


def test_the_environment_can_name_the_data_folder(
    fake_run: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBENCH_DATA", str(tmp_path))
    run("evaluate", *PAIR)
    assert fake_run.request.data == tmp_path


def test_results_go_to_stdout_and_progress_to_stderr(
    fake_run: SimpleNamespace, make_record: Callable[..., Record]
) -> None:
    from robench.records.leaderboard import results_table

    result = run("evaluate", *PAIR, "--out", "elsewhere")
    assert results_table([make_record("WFHHH")]) in result.stdout
    assert "Markdown: elsewhere/leaderboard.md" in result.stdout
    assert "Records:  elsewhere/records" in result.stdout
    assert "held 800 of 1000" not in result.stdout
    assert "attacking genetic against rift\n  done in 0.0 s; held 800 of 1000\n" in result.stderr
    assert "The victim is there." in result.stderr
    assert "\r" not in result.stderr
    assert "\x1b" not in result.stderr


def test_quiet_prints_only_results(fake_run: SimpleNamespace) -> None:
    for arguments in (("--quiet", "evaluate", *PAIR), ("evaluate", *PAIR, "--quiet")):
        result = run(*arguments)
        assert result.stderr == ""
        assert "Markdown:" in result.stdout


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            UsageError("There is no defense 'rft'. Did you mean 'rift'?"),
            2,
            "Error: There is no defense 'rft'. Did you mean 'rift'?",
        ),
        (RobenchError("The checkpoint is damaged."), 1, "Error: The checkpoint is damaged."),
        (
            KeyboardInterrupt(),
            130,
            "Interrupted. What was finished under kept is kept; "
            "run the same command again to continue from there.",
        ),
    ],
)
def test_a_failed_run_prints_one_sentence_and_sets_the_exit_code(
    fake_run: SimpleNamespace, error: BaseException, code: int, sentence: str
) -> None:
    fake_run.error = error
    result = run("evaluate", *PAIR, "--out", "kept")
    assert result.exit_code == code
    assert result.stderr.strip().splitlines()[-1] == sentence
    assert "Markdown" not in result.stdout


def test_a_dry_run_prints_the_plan_and_evaluates_nothing(fake_run: SimpleNamespace) -> None:
    from robench.evaluation.plan import PlannedCell

    fake_run.error = AssertionError("evaluated")
    fake_run.cells = [
        PlannedCell(
            task="imdb",
            defense="rift",
            attack="pwws",
            seed=2,
            victim="train",
            surface="build",
            done=250,
            total=1000,
        )
    ]
    result = run("evaluate", *PAIR, "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == [
        "imdb",
        "rift",
        "2",
        "pwws",
        "train",
        "build",
        "750",
        "of",
        "1000",
    ]
    assert result.stdout.splitlines()[-1] == "Nothing is left to do."
    assert not fake_run.measured


@pytest.mark.parametrize("command", ["evaluate", "train", "sweep"])
def test_measuring_is_a_part_of_a_dry_run(fake_run: SimpleNamespace, command: str) -> None:
    options = () if command == "train" else ("--attack", "genetic")
    result = run(command, "--defense", "rift", *options, "--measure")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --measure is a part of --dry-run. Name both, or leave --measure out.\n",
    )
    assert run("evaluate", *PAIR, "--dry-run", "--measure").exit_code == 0
    assert fake_run.measured


def test_train_prints_the_folders_of_the_victims(fake_run: SimpleNamespace) -> None:
    result = run("train", "--defense", "rift", "--seed", "3")
    assert result.stdout.split() == ["runs/victims/rift-a", "runs/victims/rift-b"]
    assert fake_run.request == EvaluationRequest(defenses=("rift",), seeds=(3,))


def test_libraries_are_quiet_unless_the_user_has_set_their_variables(
    fake_run: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    run("evaluate", *PAIR)
    assert (os.environ["TRANSFORMERS_VERBOSITY"], os.environ["TOKENIZERS_PARALLELISM"]) == (
        "info",
        "false",
    )


@pytest.mark.parametrize(
    "pair", ["alpha", "defense.alpha", "alpha=1", "defense.=1", ".alpha=1", "=1", ""]
)
def test_a_malformed_option_is_refused(pair: str) -> None:
    result = run("evaluate", *PAIR, "--option", pair)
    assert result.exit_code == 2
    assert (
        result.stderr.strip() == f"Error: --option {pair!r} is not of the form KIND.NAME=VALUE, "
        "such as defense.alpha=0.3 or attack.population=20."
    )


def test_an_option_given_twice_must_agree() -> None:
    assert parse_options(["defense.alpha=1", "defense.alpha=1"]) == {"defense.alpha": "1"}
    with pytest.raises(
        UsageError,
        match=r"^--option defense\.alpha is given twice, as '1' and as '2'\. Give it once\.$",
    ):
        parse_options(["defense.alpha=1", "defense.alpha=2"])


def test_the_value_of_an_option_may_contain_an_equals_sign() -> None:
    assert parse_options(["attack.rule=a=b", " defense.x = 1 "]) == {
        "attack.rule": "a=b",
        "defense.x": "1",
    }


@pytest.mark.parametrize("option", ["--data", "--ids"])
def test_a_missing_file_is_one_sentence(option: str) -> None:
    result = run("evaluate", *PAIR, option, "no/such/place")
    assert result.exit_code == 2
    assert "'no/such/place' does not exist" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_damaged_record_is_named_even_with_quiet(
    fake_run: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "torn.json").write_text("{")
    result = run("--quiet", "evaluate", *PAIR, "--out", str(tmp_path))
    assert result.exit_code == 0
    assert "Records:" in result.stdout
    assert result.stderr == (
        f"Left out of {tmp_path}/leaderboard.md: "
        f"Cannot read the record {tmp_path}/records/torn.json (it is not JSON: Expecting "
        "property name enclosed in double quotes in line 1, column 2). "
        "Restore it, or delete it and evaluate that cell again.\n"
    )


def test_a_partly_failed_run_prints_the_rest_and_fails(
    fake_run: SimpleNamespace, make_record: Callable[..., Record]
) -> None:
    fake_run.error = Incomplete({"no.": ["rift on toy"]}, [make_record("WFHHH")])
    result = run("--quiet", "evaluate", *PAIR)
    assert result.exit_code == 1
    assert "Records:" in result.stdout
    assert (
        result.stderr
        == "Error: Parts of the run that failed: 1; all else is finished. rift on toy: no.\n"
    )
    fake_run.error = Incomplete({"no.": ["rift on toy", "ascc on toy"]}, [])
    assert run("--quiet", "evaluate", *PAIR).stdout == ""


def test_error_trials_fail_the_run(
    monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> None:
    records = [make_record("WFHHH"), make_record("WFEEH", attack="pwws")]
    monkeypatch.setattr("robench.evaluation.run.evaluate", lambda request, report: records)
    result = run("--quiet", "evaluate", *PAIR, "--out", "kept")
    assert result.exit_code == 1
    assert "Records:" in result.stdout
    assert result.stderr == (
        "Error: Examples that ended in an error: 2, in 1 of 2 cells, which have no number. "
        f"The 'problem' in kept/trials/toy-standard-pwws-s0-{records[1].cell[:8]}.jsonl says why; "
        "the same command tries them again.\n"
    )


def test_the_most_frequent_problem_of_the_examples_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = [
        Trial(id=f"toy/{number}", verdict=Verdict.ERROR, label=0, prediction=None, problem=problem)
        for number, problem in enumerate(["disk gone"] + ["no memory"] * 5, 1)
    ]
    record = write_run(tmp_path, broken)
    monkeypatch.setattr("robench.evaluation.run.evaluate", lambda request, report: [record])
    result = run("--quiet", "evaluate", *PAIR, "--out", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Examples that ended in an error: 6, in 1 of 1 cells, which have no number. "
        "The usual reason is: no memory (5 of 6); the same command tries them again.\n"
    )


def test_a_partly_failed_training_prints_the_rest_and_fails(
    fake_run: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_only(request: EvaluationRequest, report: Reporter) -> list[Path]:
        raise Incomplete({"no.": ["ascc on toy"]}, [Path("runs/victims/rift-a")])

    monkeypatch.setattr("robench.evaluation.run.train_only", train_only)
    result = run("--quiet", "train", "--defense", "rift")
    sentence = "Error: Parts of the run that failed: 1; all else is finished. ascc on toy: no.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "runs/victims/rift-a\n",
        sentence,
    )


def test_a_line_of_a_log_is_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    with make_reporter(Session()) as reporter:
        reporter.message("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1
