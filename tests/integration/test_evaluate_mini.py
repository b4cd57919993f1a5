"""A short evaluation of the embedded task with the embedded encoder, up to the board."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_cases import Listening

from robench.evaluation.run import EvaluationRequest, build_request, evaluate
from robench.models.health_checks import RedFlag
from robench.records.leaderboard import check, render_board, results_table, write_board
from robench.records.record import Record
from robench.records.record_files import read_records
from robench.search.trials import TrialFile

SHORT = {
    "defense.train_examples": "320",
    "defense.dev_examples": "40",
    "defense.epochs": "1",
    "attack.population": "6",
    "attack.iterations": "3",
}


ReportedRun = tuple[EvaluationRequest, list[Record], Listening]


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
) -> ReportedRun:
    """Two defenses and two attacks on 12 examples."""
    report = Listening()
    request = build_request(
        defenses=("standard", "rift"),
        attacks=("genetic", "pwws"),
        limit=12,
        options=SHORT,
        device="cpu",
        out=tmp_path_factory.mktemp("mini"),
    )
    return request, evaluate(request, report), report


def test_every_cell_has_a_record(run: ReportedRun) -> None:
    request, records, report = run
    assert [(record.row_name, record.attack.name) for record in records] == [
        (d, a) for d in ("standard", "rift") for a in ("genetic", "pwws")
    ]
    assert list(read_records(request.out / "records")) == sorted(
        record.file_name for record in records
    )
    for record in records:
        assert record.counts.n == record.limit == 12
        assert record.counts.error == 0
        assert record.task.name == "mini-reviews"
        assert record.task.synthetic
        assert record.task.examples == 1000
        assert record.encoder is not None
        assert record.encoder.name == "tiny"
        assert record.surface.language_model.startswith("masked:")
    assert len({record.surface.key for record in records}) == 1
    assert len({record.ids_digest for record in records}) == 1
    assert report.phases == ["data", "surface"] + 2 * ["training", "checks", "attack", "attack"]


def test_changes_of_the_attacks_are_in_the_substitution_set(
    run: ReportedRun,
) -> None:
    request, _, _ = run
    from robench.text.substitutions import load_substitutions

    allowed = load_substitutions("mini")
    for path in (request.out / "trials").iterdir():
        for trial in TrialFile(path).read():
            for change in trial.changes:
                assert change.substitute in allowed.of(change.original, "cased")


def test_a_limited_run_says_so_and_a_board_refuses_it(run: ReportedRun, tmp_path: Path) -> None:
    request, records, _ = run
    for text in (results_table(records), (request.out / "leaderboard.md").read_text()):
        assert "only 12 of 1000 examples" in text
        assert "Synthetic task" in text
    toml = tmp_path / "board.toml"
    toml.write_text(
        'title = "T"\ntask = "mini-reviews"\nencoder = "tiny"\nprotocol = "rift2021"\n'
        f'attacks = ["genetic", "pwws"]\nrecords = "{request.out / "records"}"\n'
    )
    assert render_board(toml).count("only 12 of 1000 examples were judged (--limit)") == 4
    write_board(toml)
    assert check(toml) == []


def test_findings_of_the_health_checks_are_in_the_record(
    run: ReportedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, _, _ = run
    monkeypatch.setattr(
        "robench.models.health_checks.check_victim",
        lambda victim, examples, split: [RedFlag("odd", f"asked on {len(examples)}")],
    )
    (tmp_path / "victims").symlink_to(request.out / "victims")
    report = Listening()
    again = request.model_copy(update={"out": tmp_path, "limit": 2, "defenses": ("standard",)})
    for record in evaluate(again, report):
        assert record.victim.findings == ("odd: asked on 200",)
    assert "Warning: asked on 200" in report.messages
