"""Functions of the user as victims of an evaluation, beside a request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import Listening, trials_of, without_measurements

from robench._base.errors import UsageError
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.run import Silent, evaluate, plan
from robench.models.given.function import FunctionVictim
from robench.records.record import Record

GOOD = ("good", "great", "best", "wonderful", "fine", "love", "excellent")


def lexicon(texts: list[str]) -> list[list[float]]:
    """Return probabilities that grow with the number of good words."""
    counts = [sum(word in GOOD for word in text.lower().split()) for text in texts]
    return [[0.6 / (1 + count), 1 - 0.6 / (1 + count)] for count in counts]


def victim(
    predict: Any = lexicon, identity: str | None = "v1", name: str = "words", **values: Any
) -> FunctionVictim:
    given = {"labels": ("negative", "positive"), "fields": ("text",), "attackable": "text"}
    return FunctionVictim(
        predict, name=name, identity=identity, **{**given, "task": "mini-reviews", **values}
    )


def request(out: Path, **values: Any) -> EvaluationRequest:
    return build_request(
        **{"attacks": ("pwws",), "limit": 20, "device": "cpu", "out": out} | values
    )


def one(asked: EvaluationRequest, *functions: FunctionVictim) -> Record:
    (record,) = evaluate(asked, Silent(), functions=functions)
    return record


def test_a_function_is_attacked_and_recorded(tmp_path: Path) -> None:
    report = Listening()
    (record,) = evaluate(request(tmp_path), report, functions=[victim()])
    assert (record.row, record.victim.kind) == ("words (function)", "function")
    assert (record.defense, record.encoder, record.protocol.name) == (None, None, "subword")
    assert record.victim.given is not None
    assert record.victim.given.repeatable
    assert 0 < record.counts.wrong < 20
    assert record.counts.fooled > 0
    assert (
        "Row words (function): a function, which robench did not train; identity"
        in (tmp_path / "leaderboard.md").read_text()
    )
    assert not any("has no version" in message for message in report.messages)


def test_trials_are_used_again_only_with_an_identity(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(texts: list[str]) -> list[list[float]]:
        calls.append(len(texts))
        return lexicon(texts)

    first = one(request(tmp_path), victim(counted))
    asked = sum(calls)
    again = one(request(tmp_path), victim(counted))
    assert without_measurements(again) == without_measurements(first)
    assert sum(calls) == asked
    other = one(request(tmp_path), victim(counted, identity="v2"))
    assert other.cell != first.cell
    assert other.outcomes == first.outcomes


def test_without_an_identity_every_run_attacks_anew(tmp_path: Path) -> None:
    report = Listening()
    (first,) = evaluate(request(tmp_path), report, functions=[victim(identity=None)])
    second = one(request(tmp_path), victim(identity=None))
    assert first.cell != second.cell
    assert first.outcomes == second.outcomes
    assert len(list((tmp_path / "trials").iterdir())) == 2
    assert first.victim.given is not None
    assert not first.victim.given.repeatable
    assert any("'words' has no version" in message for message in report.messages)
    assert (
        "it has no version, so that no later run uses its trials"
        in (tmp_path / "leaderboard.md").read_text()
    )


def test_a_function_runs_in_one_process_with_the_same_trials(tmp_path: Path) -> None:
    report = Listening()
    evaluate(request(tmp_path / "one"), Silent(), functions=[victim()])
    evaluate(request(tmp_path / "two", workers=2), report, functions=[victim()])
    assert trials_of(tmp_path / "one") == trials_of(tmp_path / "two")
    assert "A function runs in this process only, so --workers has no effect." in report.messages


def test_an_exception_costs_its_examples_and_a_second_run_tries_them_again(
    tmp_path: Path,
) -> None:
    broken, calls = True, 0

    def moody(texts: list[str]) -> list[list[float]]:
        nonlocal calls
        calls += 1
        # The first two calls are those of the health checks.
        if broken and calls > 2:
            raise ConnectionError("the service is away")
        return lexicon(texts)

    first = one(request(tmp_path), victim(moody))
    assert first.counts.error > 0
    broken = False
    assert one(request(tmp_path), victim(moody)).counts.error == 0


def test_a_plan_knows_functions(tmp_path: Path) -> None:
    asked = request(tmp_path)
    (cell,) = plan(asked, functions=[victim()])
    assert (cell.defense, cell.victim, cell.done, cell.total) == ("words (function)", "load", 0, 20)
    one(asked, victim())
    (cell,) = plan(asked, functions=[victim()])
    assert cell.done == 20
    (cell,) = plan(asked, functions=[victim(identity=None)])
    assert cell.done == 0


@pytest.mark.parametrize(
    ("functions", "values", "sentence"),
    [
        ((victim(),), {"tasks": ("imdb",)}, "is about task 'mini-reviews', and this run is about"),
        ((victim(labels=("bad", "good")),), {}, "its labels (bad, good) are not those of task"),
        ((victim(), victim()), {}, "Two victims would have the row 'words (function)'."),
        ((victim(),), {"attacks": ("convex-hull",)}, "Attack 'convex-hull' needs gradients"),
        ((victim(),), {"protocol": "rift2021"}, "--protocol rift2021 reads exactly one token"),
        ((), {}, "There is no victim"),
    ],
)
def test_a_function_that_does_not_fit_is_refused(
    tmp_path: Path, functions: Sequence[FunctionVictim], values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(request(tmp_path, **values), Silent(), functions=functions)
    assert sentence in str(caught.value)
    assert not (tmp_path / "trials").exists()
