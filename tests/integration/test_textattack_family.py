"""TextAttack's own recipes as attacks of robench.

Many searches at once give what each gives alone in plain TextAttack with the same seeds.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textattack_cases import (
    embedded_examples,
    embedded_jobs,
    embedded_victim,
    textattack_or_skip,
    wordnet_or_skip,
)
from toy import TOY_OPTIONS, make_toy_encoder, toy_task

from robench import ATTACK_FAMILIES, ATTACKS, Verdict
from robench._base.errors import UsageError
from robench.evaluation.run import Silent, build_request, evaluate, plan
from robench.methods.textattack import installed
from robench.methods.textattack.streams import global_seeds
from robench.search.engine import example_rng, run
from robench.search.settings import SearchSettings

COUNT = 24


@pytest.fixture(autouse=True)
def _installed() -> None:
    textattack_or_skip()


def pooled(name: str, budget: int | None = None, **settings: Any) -> dict[str, Any]:
    jobs = embedded_jobs(COUNT, constrained=False)
    asked = SearchSettings(5, budget)
    trials = run(embedded_victim(), ATTACKS.get(name)(), name, jobs, asked, **settings)
    return {trial.id: trial for trial in trials}


def plain(name: str, budget: int | None = None) -> list[tuple[str, Any]]:
    """Attack one example after another in TextAttack itself, with seeds for each."""
    from textattack.attack_args import ATTACK_RECIPE_NAMES

    from robench.textattack import VictimWrapper

    recipe = getattr(
        importlib.import_module("textattack.attack_recipes"),
        ATTACK_RECIPE_NAMES[name.partition(":")[2]].rpartition(".")[2],
    )
    attack = recipe.build(VictimWrapper(embedded_victim(), ["text"]))
    if budget is not None:
        attack.goal_function.query_budget = budget
    results = []
    for example in embedded_examples(COUNT):
        first, second = global_seeds(example_rng(5, name, example.id))
        random.seed(first)
        np.random.seed(second)
        results.append((example.id, attack.attack(example.fields["text"], example.label)))
    return results


def agree(trials: dict[str, Any], results: list[tuple[str, Any]]) -> None:
    for example, result in results:
        trial, kind = trials[example], type(result).__name__
        wanted = {
            "SkippedAttackResult": Verdict.WRONG,
            "SuccessfulAttackResult": Verdict.FOOLED,
            "FailedAttackResult": Verdict.HELD,
        }[kind]
        assert (trial.verdict, trial.problem) == (wanted, None)
        if wanted == Verdict.FOOLED:
            assert trial.text == result.perturbed_result.attacked_text.text
        if wanted != Verdict.WRONG:
            assert 0 < trial.asked <= result.num_queries
    assert {trial.verdict for trial in trials.values()} >= {Verdict.WRONG, Verdict.FOOLED}


def test_deepwordbug_gives_the_results_of_plain_textattack() -> None:
    agree(pooled("textattack:deepwordbug"), plain("textattack:deepwordbug"))


def test_a_budget_has_the_same_effect_as_in_textattack() -> None:
    trials, results = pooled("textattack:deepwordbug", 25), plain("textattack:deepwordbug", 25)
    agree(trials, results)
    assert max(trial.asked for trial in trials.values()) <= 25
    assert Verdict.HELD in {trial.verdict for trial in trials.values()}


def test_pwws_gives_the_results_of_plain_textattack() -> None:
    wordnet_or_skip()
    agree(pooled("textattack:pwws"), plain("textattack:pwws"))


def test_the_number_of_searches_at_once_changes_nothing_and_generators_are_restored() -> None:
    random.seed(1)
    np.random.seed(2)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    together = pooled("textattack:deepwordbug")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]
    alone = pooled("textattack:deepwordbug", max_running=1)
    assert {key: (trial.verdict, trial.text) for key, trial in together.items()} == {
        key: (trial.verdict, trial.text) for key, trial in alone.items()
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "hotflip",
            r"^The recipe 'textattack:hotflip' needs the victim's gradients, which attacks outside"
            r" the surface are not shown: choose another one\.$",
        ),
        (
            "input-reduction",
            r"^The recipe 'textattack:input-reduction' does not look for a wrong class"
            r" \(its goal is InputReduction\)",
        ),
        (
            "bad-characters",
            r"^The recipe 'textattack:bad-characters' cannot be built without arguments that"
            r" robench does not give it \(goal_function_type\): ",
        ),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        ATTACKS.get(f"textattack:{name}")().check()
    assert "\n" not in str(caught.value)


def test_any_other_error_of_a_recipe_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TypeError is named too, although it is what a recipe that needs gradients raises."""
    recipe = ATTACKS.get("textattack:deepwordbug")

    def build(model_wrapper: object, **_: object) -> None:
        raise TypeError("unsupported operand\nand more")

    monkeypatch.setattr(recipe.recipe, "build", staticmethod(build))  # type: ignore[attr-defined]
    with pytest.raises(
        UsageError,
        match=r"^The recipe 'textattack:deepwordbug' cannot be used here"
        r" \(TypeError: unsupported operand\)\. docs/",
    ):
        recipe().check()


def test_a_failed_download_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from textattack.shared.word_embeddings import WordEmbedding

    def unreachable() -> None:
        raise ConnectionError("no way to the server\nand more")

    monkeypatch.setattr(WordEmbedding, "counterfitted_GLOVE_embedding", staticmethod(unreachable))
    with pytest.raises(
        UsageError,
        match=r"^The recipe 'textattack:kuleshov' cannot be used here"
        r" \(ConnectionError: no way to the server\)\. docs/",
    ):
        ATTACKS.get("textattack:kuleshov")().check()


def test_an_unknown_recipe_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        UsageError,
        match=r"^There is no attack 'textattack:deepwordbuk'\."
        r" Did you mean 'textattack:deepwordbug'\? After .*: a2t, alzantot, ",
    ):
        ATTACKS.get("textattack:deepwordbuk")


def test_another_version_of_textattack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "version", lambda _: "0.4.0")
    with pytest.raises(
        UsageError, match=r"^textattack:NAME is written for TextAttack 0\.3\.11; here is 0\.4\.0\."
    ):
        ATTACK_FAMILIES.get("textattack")().make("pwws")


@pytest.fixture
def toy_name(tmp_path: Path) -> Iterator[str]:
    """Register the toy task while a test runs and return its name."""
    with toy_task(tmp_path) as name:
        yield name


def test_a_recipe_gets_a_table_of_its_own_on_the_board(tmp_path: Path, toy_name: str) -> None:
    toy = {
        "tasks": (toy_name,),
        "encoder": make_toy_encoder(tmp_path / "encoder"),
        "options": TOY_OPTIONS,
        "device": "cpu",
    }
    request = build_request(
        defenses=("standard",),
        attacks=("genetic", "textattack:deepwordbug"),
        limit=6,
        out=tmp_path / "out",
        **toy,
    )
    assert [cell.attack and cell.attack.partition("(")[0] for cell in plan(request)] == [
        "genetic",
        "textattack:deepwordbug",
    ]
    inside, outside = evaluate(request, Silent())
    assert (inside.surface.outside, outside.surface.outside, outside.surface.constrained) == (
        False,
        True,
        False,
    )
    assert outside.attack.code_sha256 is not None
    assert outside.software.versions["textattack"] == "0.3.11"
    assert [path.name for path in (tmp_path / "out" / "trials").glob("*textattack-deepwordbug*")]
    board = (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert "outside the surface" in board
    assert "| genetic(" not in board.partition("outside the surface")[2].partition("##")[0]
    assert [cell.done for cell in plan(request)] == [6, 6]
