"""``temperature=dev`` in whole evaluations: trained, saved and function victims, workers, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from evaluation_cases import Listening, trials_of

from robench.cli import main
from robench.evaluation.run import Silent, build_request, evaluate, plan
from robench.models.given.function import FunctionVictim
from robench.models.victim import Victim
from robench.records.record import Record

pytestmark = pytest.mark.slow
PUBLISHED = {"attack.scores": "probabilities"}


def request(toy: dict[str, Any], victim: Path, out: Path, **values: Any) -> Any:
    chosen = {"tasks": toy["tasks"], "device": "cpu", "temperature": "dev", "options": PUBLISHED}
    return build_request(victims=(str(victim),), attacks=("pwws",), out=out, **chosen | values)


def scaled(folder: Path, out: Path, scale: float) -> Path:
    """Save the victim of ``folder`` with its last layer times ``scale``."""
    victim = Victim.load(folder)
    with torch.no_grad():
        for parameter in victim.model.head[-1].parameters():
            parameter.mul_(scale)
    victim.save(out)
    return out


def one(asked: Any, report: Any = None) -> Record:
    (record,) = evaluate(asked, report or Silent())
    return record


def test_the_record_the_screen_and_the_table_say_the_temperature(
    toy: dict[str, Any], saved: Path, tmp_path: Path
) -> None:
    asked, report = request(toy, saved, tmp_path), Listening()
    record = one(asked, report)
    found = record.victim.temperature
    assert found is not None
    assert found > 0
    assert record.protocol.name == "rift2021(temperature=dev)"
    said = f"Temperature {found:.4g}, fitted on 40 dev examples"
    assert any(message.startswith(said) for message in report.messages)
    board = (tmp_path / "leaderboard.md").read_text()
    assert f"Temperatures, by which the logits of the searches were divided: {record.row}" in board
    assert f": {found:.4g}." in board
    # The plan finds the trials without the victim's temperature.
    assert [(cell.done, cell.total) for cell in plan(asked)] == [(30, 30)]
    without = request(toy, saved, tmp_path, temperature="none")
    assert [cell.done for cell in plan(without)] == [0]
    assert one(without).victim.temperature is None


def test_published_scores_do_not_depend_on_the_scale_with_it(
    toy: dict[str, Any], saved: Path, tmp_path: Path
) -> None:
    found = [
        one(request(toy, scaled(saved, tmp_path / f"x{scale:g}", scale), tmp_path / f"r{scale:g}"))
        for scale in (1.0, 30.0, 1e-6)
    ]
    assert len({record.outcomes for record in found}) == 1
    first, *others = [record.victim.temperature or 0.0 for record in found]
    assert others == [pytest.approx(30 * first, rel=1e-3), pytest.approx(1e-6 * first, rel=1e-3)]


def test_workers_get_it_too(toy: dict[str, Any], saved: Path, tmp_path: Path) -> None:
    victim = scaled(saved, tmp_path / "victim", 100.0)
    one(request(toy, victim, tmp_path / "one", workers=1))
    one(request(toy, victim, tmp_path / "two", workers=2))
    assert trials_of(tmp_path / "two") == trials_of(tmp_path / "one")


def test_a_function_is_asked_about_dev_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(texts: list[str]) -> list[list[float]]:
        calls.append(len(texts))
        good = [sum(word in {"good", "great", "fine"} for word in text.split()) for text in texts]
        return [[0.6 / (1 + count), 1 - 0.6 / (1 + count)] for count in good]

    def words() -> FunctionVictim:
        return FunctionVictim(
            counted, ("negative", "positive"), ("text",), "text", "words", "v1", task="mini-reviews"
        )

    asked = build_request(
        attacks=("pwws",), limit=10, device="cpu", out=tmp_path, temperature="dev", seeds=(0, 1)
    )
    first = evaluate(asked, Silent(), functions=[words()])
    assert len({record.victim.temperature for record in first}) == 1
    assert first[0].victim.temperature is not None
    before = sum(calls)
    again = evaluate(asked, Silent(), functions=[words()])
    # A finished run leaves nothing to ask, and keeps the temperature.
    assert sum(calls) == before
    assert [r.victim.temperature for r in again] == [r.victim.temperature for r in first]


def test_the_command_refuses_another_value() -> None:
    result = CliRunner().invoke(
        main, ["evaluate", "--defense", "standard", "--temperature", "test"]
    )
    assert result.exit_code == 2
    assert "'test' is not one of 'none', 'dev'" in result.output
