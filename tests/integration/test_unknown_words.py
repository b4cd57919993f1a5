"""Runs with and without substitutes that the victim does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_cases import Listening, trials_of
from toy import SWAPS, TOY_OPTIONS, toy_task

from robench._base.errors import UsageError
from robench.evaluation.run import EvaluationRequest, build_request, evaluate, plan
from robench.records.leaderboard import results_table
from robench.records.record import Record

NONSENSE = "zxqvwk"
"""A word that the embedded encoder does not know."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Record], list[str]]]:
    """Return the records and the messages of a run for each value of the option."""
    folder, out = tmp_path_factory.mktemp("toy"), tmp_path_factory.mktemp("runs")
    found = {}
    with toy_task(folder):
        swaps = {word: [*others, NONSENSE] for word, others in SWAPS.items()}
        (folder / "swaps.json").write_text(json.dumps(swaps))
        for choice in ("allowed", "forbidden"):
            listening = Listening()
            records = evaluate(_request(out, choice), listening)
            found[choice] = records, listening.messages
        assert len(trials_of(out)) == 120
    return found


def _request(out: Path, choice: str) -> EvaluationRequest:
    return build_request(
        defenses=("standard",),
        attacks=("pwws", "genetic"),
        tasks=("toy",),
        lm="none",
        options=TOY_OPTIONS,
        unknown=choice,
        out=out,
        workers=1,
    )


def test_forbidden_substitutes_are_in_no_text(
    runs: dict[str, tuple[list[Record], list[str]]],
) -> None:
    allowed, forbidden = runs["allowed"][0], runs["forbidden"][0]
    for one, other in zip(allowed, forbidden, strict=True):
        assert one.unknown is not None
        assert other.unknown is not None
        # The surface is the same, and so are the victim and what it does not know.
        assert one.surface.key == other.surface.key
        assert one.victim == other.victim
        assert one.unknown.share("substitutes") == other.unknown.share("substitutes")
        assert one.unknown.substitutes_unknown == one.unknown.positions
        assert other.unknown.successes_unknown == 0
        assert one.cell != other.cell
        assert other.protocol.name == "rift2021(unknown=forbidden)"
    assert any(record.unknown.successes_unknown for record in allowed if record.unknown)


def test_a_run_says_it_before_training_and_under_its_table(
    runs: dict[str, tuple[list[Record], list[str]]],
) -> None:
    records, messages = runs["allowed"]
    assert any(text.startswith("Unknown words on toy: the victim reads") for text in messages)
    table = results_table([*records, *runs["forbidden"][0]])
    assert table.count("Unknown words: the victim reads") == 2
    assert table.count("of the substitutes are removed, because it reads them") == 1
    assert table.count("a swap can turn") == 1
    (line,) = [each for each in runs["forbidden"][1] if each.startswith("Unknown words on toy")]
    assert "are removed" in line
    assert "a swap can turn" not in line
    assert "protocol rift2021(unknown=forbidden)" in table


def test_a_dry_run_says_it(tmp_path: Path) -> None:
    with toy_task(tmp_path):
        swaps = {word: [NONSENSE] for word in SWAPS}
        (tmp_path / "swaps.json").write_text(json.dumps(swaps))
        listening = Listening()
        plan(_request(tmp_path / "runs", "allowed"), listening)
    (line,) = [text for text in listening.messages if text.startswith("Unknown words")]
    assert "100.0 % of the substitutes" in line
    assert not (tmp_path / "runs").exists()


def test_a_function_has_no_unknown_words_to_forbid(tmp_path: Path) -> None:
    from robench.models.given.function import FunctionVictim

    victim = FunctionVictim(
        lambda texts: [[0.5, 0.5]] * len(texts),
        ("negative", "positive"),
        ("text",),
        "text",
        "mine",
        task="toy",
    )
    request = build_request(attacks=("pwws",), tasks=("toy",), unknown="forbidden", out=tmp_path)
    with toy_task(tmp_path), pytest.raises(UsageError, match="the function 'mine' does not say"):
        evaluate(request, Listening(), functions=[victim])
