"""The rules that choose an epoch: what each keeps, what it can forget, and when it has no gain."""

from __future__ import annotations

import random
from typing import Any

import pytest

from robench._base.errors import UsageError
from robench._base.intervals import wilson
from robench.plugins.options import TrainingOptions, build_options
from robench.training.epoch_choice import EpochRule, explain
from robench.training.selection import DevScores

SNLI = [
    DevScores(clean, hull, guessing=clean < 0.36)
    for clean, hull in (
        (0.348, 0.331),
        (0.378, 0.275),
        (0.455, 0.140),
        (0.517, 0.117),
        (0.530, 0.079),
        (0.552, 0.084),
        (0.540, 0.069),
        (0.532, 0.066),
    )
]
"""A standard victim on SNLI, 1000 dev examples: attacked, a near-chance model survives best."""
RULES = ("robust", "clean", "last", "paper")


def rule(select: str = "robust", dev_examples: int = 1000, **options: Any) -> EpochRule:
    return EpochRule(TrainingOptions(select=select, **options), dev_examples)


def drawn(numbers: random.Random, epochs: int = 12) -> list[DevScores]:
    """Draw scores of few values, so that ties are frequent."""
    return [
        DevScores(clean, round(clean * numbers.choice((0.2, 0.5, 0.9)), 3), guessing=clean < 0.54)
        for clean in (
            numbers.choice((0.5, 0.52, 0.6, 0.61, 0.62, 0.66, 0.7)) for _ in range(epochs)
        )
    ]


@pytest.mark.parametrize(
    ("select", "kept"), [("robust", 6), ("clean", 6), ("last", 8), ("paper", 2)]
)
def test_each_rule_on_the_scores_of_a_real_training(select: str, kept: int) -> None:
    """The paper's rule keeps a model with 37.8 % clean; a trained one has 53 to 55 %."""
    choice = rule(select).choose(SNLI)
    assert (choice.rule, choice.epoch) == (select, kept)


def test_the_default_margin_ends_at_the_interval_of_the_best_accuracy() -> None:
    choice = rule().choose(SNLI)
    assert choice.margin == pytest.approx(0.552 - wilson(0.552, 1000)[0])
    assert choice.margin == pytest.approx(0.031, abs=0.001)
    assert choice.candidates == (5, 6, 7, 8)
    # A smaller dev split tells fewer epochs apart.
    assert rule(dev_examples=100).choose(SNLI).candidates == (3, 4, 5, 6, 7, 8)


def test_a_margin_at_an_accuracy_of_one_is_not_zero() -> None:
    scores = [DevScores(0.99, 0.9), DevScores(1.0, 0.5)]
    assert rule(dev_examples=200).choose(scores).epoch == 1


def test_a_margin_of_the_user_includes_its_border() -> None:
    scores = [DevScores(0.7, 0.6), DevScores(0.8, 0.5)]
    assert rule(select_margin=0.1).choose(scores).epoch == 1  # 0.8 - 0.1 > 0.7 in floats
    assert rule(select_margin=0.0999).choose(scores).epoch == 2
    assert rule(select_margin=0.0).choose(scores).candidates == (2,)


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([DevScores(0.70, 0.5), DevScores(0.71, 0.5), DevScores(0.71, 0.5)], 2),
        ([DevScores(0.71, 0.5), DevScores(0.70, 0.5)], 1),
        ([DevScores(0.71, None), DevScores(0.72, None), DevScores(0.72, None)], 2),
        # A guess within the margin loses to every epoch that is no guess.
        ([DevScores(0.55, 0.55, guessing=True), DevScores(0.56, 0.0)], 2),
        ([DevScores(0.5, 0.5, guessing=True), DevScores(0.5, 0.4, guessing=True)], 1),
    ],
)
def test_ties_and_guesses(scores: list[DevScores], kept: int) -> None:
    assert rule(select_margin=0.05).choose(scores).epoch == kept


def test_clean_prefers_the_more_robust_of_equal_epochs() -> None:
    scores = [DevScores(0.7, 0.1), DevScores(0.7, 0.2), DevScores(0.7, 0.2), DevScores(0.6, 0.5)]
    assert rule("clean").choose(scores).epoch == 2


@pytest.mark.parametrize("select", RULES)
@pytest.mark.parametrize("margin", [None, 0.0, 0.05, 1.0])
def test_the_weights_of_every_final_choice_are_still_there(
    select: str, margin: float | None
) -> None:
    """What is forgotten at any epoch is never wanted later, and nothing is wanted twice."""
    if margin is not None and select != "robust":
        with pytest.raises(ValueError, match="belongs to select=robust"):
            rule(select, select_margin=margin)
        return
    asked = rule(select, dev_examples=50, select_margin=margin)
    for seed in range(200):
        scores, stored = drawn(random.Random(seed)), set[int]()
        for epoch in range(1, len(scores) + 1):
            possible = asked.still_possible(scores[:epoch])
            assert possible <= stored | {epoch}, "forgotten weights are wanted again"
            stored = possible
            assert asked.choose(scores[:epoch]).epoch in stored
        if select != "robust":
            assert len(stored) == 1


def test_no_stored_epoch_is_useless() -> None:
    """Each stored epoch wins if one that is just good enough ends the margin of its rivals."""
    scores = [
        DevScores(0.60, 0.5),
        DevScores(0.62, 0.4),
        DevScores(0.61, 0.3),
        DevScores(0.64, 0.2),
    ]
    asked = rule(select_margin=0.05)
    assert asked.still_possible(scores) == {1, 2, 4}  # 3 is worse than 2 in both
    for epoch, best in ((1, 0.65), (2, 0.67), (4, 0.69)):
        assert asked.choose([*scores, DevScores(best, 0.0)]).epoch == epoch


def test_without_substitutes_one_epoch_is_stored() -> None:
    scores = [DevScores(0.6, None), DevScores(0.62, None), DevScores(0.61, None)]
    assert rule().still_possible(scores) == {2}


def gains(select: str, pairs: list[tuple[float, float]], **options: Any) -> int:
    return rule(select, **options).epochs_without_gain([DevScores(*pair) for pair in pairs])


def test_epochs_without_gain() -> None:
    assert gains("robust", []) == 0
    assert gains("robust", [(0.5, 0.5)] * 3) == 2
    assert gains("paper", [(0.5, 0.2), (0.6, 0.3), (0.9, 0.1)]) == 1
    assert gains("clean", [(0.5, 0.2), (0.6, 0.3), (0.6, 0.4), (0.5, 0.5)]) == 1
    assert gains("last", [(0.5, 0.5)] * 4) == 0
    # The choice stays, and the best clean accuracy rises: this is a gain.
    assert gains("robust", [(0.5, 0.4), (0.6, 0.1)], select_margin=0.5) == 0
    # The choice changes at an epoch of no gain of its own.
    assert gains("robust", [(0.5, 0.4), (0.6, 0.1), (0.6, 0.1)], select_margin=0.05) == 1


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        (
            "robust",
            "kept epoch 6 of 8 (dev accuracy 0.552, under the convex-hull attack 0.084), the most "
            "robust of the 4 within 3.1 points of the best dev accuracy, 0.552 (select=robust)",
        ),
        (
            "last",
            "kept epoch 8 of 8 (dev accuracy 0.532, under the convex-hull attack 0.066), the last "
            "one (select=last)",
        ),
        (
            "paper",
            "kept epoch 2 of 8 (dev accuracy 0.378, under the convex-hull attack 0.275), the one "
            "with the highest dev accuracy under the convex-hull attack (select=paper)",
        ),
    ],
)
def test_one_sentence_says_which_epoch_was_kept_and_why(select: str, sentence: str) -> None:
    assert explain(rule(select).choose(SNLI), SNLI) == sentence


def test_the_sentence_without_substitutes_names_no_attack() -> None:
    scores = [DevScores(0.6, None), DevScores(0.7, None)]
    assert explain(rule().choose(scores), scores) == (
        "kept epoch 2 of 2 (dev accuracy 0.700), the one with the highest dev accuracy "
        "(select=robust)"
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"select": "best"}, "input should be 'robust', 'clean', 'last' or 'paper'"),
        ({"select_margin": 2}, "less than or equal to 1"),
        (
            {"select": "paper", "select_margin": 0.02},
            "belongs to select=robust, and select is paper",
        ),
    ],
)
def test_wrong_options_give_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build_options(TrainingOptions, values, "defense 'standard'")


def test_the_scores_come_back_from_the_log() -> None:
    entry = {"dev_accuracy": 0.6, "dev_hull_accuracy": None, "dev_guessing": True, "loss": 1.0}
    assert DevScores.of_entry(entry) == DevScores(0.6, None, guessing=True)
