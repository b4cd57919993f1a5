"""TextAttack's ``Attacker`` with robench's parts gives the same trials as robench's engine."""

from __future__ import annotations

from typing import Any

import pytest
from textattack_cases import (
    embedded_examples,
    embedded_jobs,
    embedded_surface,
    embedded_victim,
    textattack_or_skip,
)

from robench import ATTACKS, Verdict
from robench.search.engine import run
from robench.search.settings import SearchSettings
from robench.text.words import replace_words

COUNT = 50
STATUS = {
    Verdict.WRONG: "Skipped",
    Verdict.FOOLED: "Successful",
    Verdict.HELD: "Failed",
    Verdict.HELD_PROVED: "Failed",
}


@pytest.fixture(autouse=True)
def _installed() -> None:
    textattack_or_skip()


def attacked(recipe: Any) -> list[Any]:
    """Return the results of ``Attacker`` on the examples."""
    from textattack import AttackArgs, Attacker
    from textattack.datasets import Dataset

    data = Dataset(
        [(example.fields["text"], example.label) for example in embedded_examples(COUNT)]
    )
    arguments = AttackArgs(num_examples=-1, disable_stdout=True, silent=True)
    return list(Attacker(recipe, data, arguments).attack_dataset())


def engine_trials(
    name: str, options: dict[str, Any], seed: int, budget: int | None
) -> dict[str, Any]:
    cls = ATTACKS.get(name)
    jobs = embedded_jobs(COUNT, constrained=cls.language_model)
    attack = cls(cls.Options(**options))
    return {
        trial.id: trial
        for trial in run(embedded_victim(), attack, name, jobs, SearchSettings(seed, budget))
    }


@pytest.mark.parametrize(
    ("recipe", "name", "options", "budget"),
    [
        ("GeneticJia2019", "genetic", {"population": 8, "iterations": 5}, None),
        ("GeneticJia2019", "genetic", {"population": 8, "iterations": 5}, 20),
        ("PWWSRen2019", "pwws", {}, None),
        ("PWWSRen2019", "pwws", {}, 60),
    ],
)
def test_textattack_finds_the_same_verdicts_and_the_same_words(
    recipe: str, name: str, options: dict[str, Any], budget: int | None
) -> None:
    import robench.textattack as parts

    surface = parts.TextSurface.of(
        embedded_victim(), embedded_surface(COUNT), embedded_examples(COUNT)
    )
    attack = getattr(parts, recipe).build(
        parts.VictimWrapper(embedded_victim(), ["text"]), surface, seed=3, **options
    )
    if budget is not None:
        # TextAttack counts the query of the clean text too.
        attack.goal_function.query_budget = budget + 1
    trials = engine_trials(name, options, 3, budget)
    for example, result in zip(embedded_examples(COUNT), attacked(attack), strict=True):
        trial = trials[example.id]
        assert type(result).__name__ == f"{STATUS[trial.verdict]}AttackResult"
        if trial.verdict == Verdict.FOOLED:
            changed = {change.position: change.substitute for change in trial.changes}
            assert result.perturbed_result.attacked_text.text == replace_words(
                example.fields["text"], changed
            )
        if trial.verdict == Verdict.HELD and trial.problem is None:
            assert trial.forwarded + 1 == result.num_queries
    letters = "".join(sorted(trial.verdict[0] for trial in trials.values()))
    assert letters.count("w") == COUNT // 4
    assert "f" in letters
    assert "h" in letters
