"""Trials that cannot be true are found without asking a victim."""

from __future__ import annotations

from typing import Any

import pytest
from trial_runs import EXAMPLES, TRIALS

from robench.records.trial_check import TrialRules, check_trial, needs_space
from robench.search.attack import Change, Trial, Verdict
from robench.tasks.example import Example
from robench.text.space import SearchSpace

EXAMPLE = Example("toy/1", {"text": "a good film"}, 1)
SPACE = SearchSpace(("a", "good", "film"), (("a",), ("good", "fine", "fair"), ("film",)), 3)
ONE_TEXT = SearchSpace(("a", "good", "film"), (("a",), ("good",), ("film",)), 3)
RULES = TrialRules(("negative", "positive"), "text", budget=100)
OUTSIDE = TrialRules(("negative", "positive"), "text", outside=True)
FINE = Change(position=1, original="good", substitute="fine")


def fooled(**values: Any) -> Trial:
    usual: dict[str, Any] = {
        "id": "toy/1",
        "verdict": Verdict.FOOLED,
        "label": 1,
        "prediction": 1,
        "probs": (0.25, 0.75),
        "adversarial_prediction": 0,
        "adversarial_probs": (0.5, 0.5),
        "changes": (FINE,),
        "asked": 12,
        "asked_at_success": 12,
        "forwarded": 12,
        "seconds": 0.5,
    }
    return Trial(**(usual | values))


def held(**values: Any) -> Trial:
    usual: dict[str, Any] = {"id": "toy/1", "verdict": Verdict.HELD, "label": 1, "prediction": 1}
    return Trial(**(usual | values))


def proved(**values: Any) -> Trial:
    usual: dict[str, Any] = {"verdict": Verdict.HELD_PROVED, "asked": 3, "forwarded": 2}
    return held(**(usual | values))


def wrong(**values: Any) -> Trial:
    usual: dict[str, Any] = {"verdict": Verdict.WRONG, "prediction": 0, "probs": (0.6, 0.4)}
    return held(**(usual | values))


def failed(**values: Any) -> Trial:
    usual: dict[str, Any] = {"verdict": Verdict.ERROR, "prediction": None, "problem": "gone"}
    return held(**(usual | values))


@pytest.mark.parametrize(
    "trial",
    [
        fooled(),
        fooled(probs=None, adversarial_probs=None, asked_at_success=None),
        # A search may return a text that it never queried.
        fooled(asked=0, asked_at_success=0, forwarded=0),
        held(),
        held(asked=3, problem="the budget was spent"),
        # A claim that the verdict rejected: right on the text, or wrong on it but right on its
        # words.
        held(adversarial_prediction=1, changes=(FINE,), problem="mistaken"),
        held(adversarial_prediction=0, changes=(FINE,), problem="splits into other words"),
        held(adversarial_prediction=1, problem="the unchanged text"),
        proved(),
        wrong(),
        failed(),
        failed(prediction=1),
        # Rounding hides which of two labels was more probable.
        fooled(probs=(0.500001, 0.499999)),
    ],
)
def test_a_trial_that_can_be_true_has_no_problem(trial: Trial) -> None:
    assert check_trial(trial, EXAMPLE, RULES, SPACE) is None
    assert check_trial(trial, EXAMPLE, RULES) is None


def test_the_trials_of_a_run_can_be_true() -> None:
    by_id = {example.id: example for example in EXAMPLES}
    rules = TrialRules(("negative", "positive"), "text")
    assert [check_trial(trial, by_id[trial.id], rules) for trial in TRIALS] == [None] * 6


@pytest.mark.parametrize(
    ("trial", "problem"),
    [
        (held(id="toy/2"), "it is the trial of toy/2"),
        (held(label=0, prediction=0), "its label is 0, and that of the example is 1"),
        (wrong(label=10**50), "its label is a number of many digits, and that"),
        # Numbers
        (held(asked=-1), "'asked' is -1"),
        (held(forwarded=10**40), "'forwarded' is a number of many digits"),
        (held(seconds=-0.5), "'seconds' is -0.5"),
        (held(seconds=1e308), "'seconds' is 1e+308"),
        (held(asked=2, forwarded=3), "3 rows were forwarded, and only 2 asked"),
        (held(asked=101), "101 queries are more than the budget of 100"),
        (fooled(asked_at_success=13), "'asked_at_success' is 13, and 'asked' is 12"),
        (fooled(asked_at_success=-1), "'asked_at_success' is -1, and 'asked' is 12"),
        (held(asked=5, asked_at_success=5), "'asked_at_success' is 5, and the verdict is held"),
        # Classes
        (wrong(prediction=2, probs=None), "'prediction' is 2, and there are 2 labels"),
        (wrong(prediction=-1, probs=None), "'prediction' is -1, and there are 2 labels"),
        (fooled(adversarial_prediction=7), "'adversarial_prediction' is 7, and there are 2"),
        (held(probs=(1.0,)), "it has 1 probabilities for 2 labels"),
        (held(probs=(-0.5, 1.5)), "a probability lies outside of 0 and 1"),
        (held(probs=(0.0, 0.9)), "its probabilities add up to 0.9"),
        (held(probs=(0.6, 0.4)), "'prediction' is 1, which is not its most probable label"),
        (held(adversarial_probs=(0.5, 0.5)), "probabilities without a 'adversarial_prediction'"),
        # Verdicts
        (wrong(prediction=1, probs=None), "the verdict is wrong, and the prediction is right"),
        (wrong(prediction=None, probs=None), "the verdict is wrong, and the prediction is right"),
        (held(prediction=0), "the verdict is held, and the prediction is not the label"),
        (proved(prediction=None), "the verdict is held-proved, and the prediction is not"),
        (fooled(prediction=0, probs=None), "the verdict is fooled, and the prediction is not"),
        (fooled(adversarial_prediction=1), "the adversarial prediction is the label or missing"),
        (
            fooled(adversarial_prediction=None, adversarial_probs=None),
            "the adversarial prediction is the label or missing",
        ),
        (proved(adversarial_prediction=1), "held-proved, and there is an adversarial prediction"),
        (wrong(asked=1), "the verdict is wrong, and the victim was attacked"),
        (failed(problem=None), "the verdict is error, and there is no problem"),
        (failed(prediction=0), "the clean prediction was wrong already"),
        # Texts
        (fooled(text="a fine film"), "it holds a whole text, and the attack stays inside"),
        (fooled(changes=()), "the verdict is fooled, and there is no changed text"),
        (wrong(changes=(FINE,)), "the verdict is wrong, and there is a changed text"),
        (proved(changes=(FINE,)), "the verdict is held-proved, and there is a changed text"),
        (held(changes=(FINE,)), "a changed text without an adversarial prediction"),
        # Changes
        (fooled(changes=(FINE, FINE)), "the positions of its changes do not ascend"),
        (
            fooled(changes=(Change(position=-1, original="a", substitute="b"),)),
            "the positions of its changes do not ascend",
        ),
        (
            fooled(changes=(Change(position=1, original="good", substitute="good"),)),
            "word 1 is replaced by itself",
        ),
    ],
)
def test_an_impossible_trial_is_found_without_the_space(trial: Trial, problem: str) -> None:
    assert problem in (check_trial(trial, EXAMPLE, RULES) or "")


@pytest.mark.parametrize(
    ("trial", "space", "problem"),
    [
        (
            fooled(changes=(Change(position=3, original="x", substitute="y"),)),
            SPACE,
            "it changes word 3, and the text has 3 words",
        ),
        (
            fooled(changes=(Change(position=10**40, original="x", substitute="y"),)),
            SPACE,
            "it changes word a number of many digits, and the text has 3 words",
        ),
        (
            fooled(changes=(Change(position=0, original="the", substitute="a"),)),
            SPACE,
            "word 0 is 'a' and not 'the'",
        ),
        (
            fooled(changes=(Change(position=1, original="good", substitute="bad"),)),
            SPACE,
            "the space does not allow 'bad' for 'good'",
        ),
        (
            fooled(changes=(Change(position=2, original="film", substitute="movie"),)),
            SPACE,
            "the space does not allow 'movie' for 'film'",
        ),
        (
            proved(asked=0, forwarded=0),
            SPACE,
            "it is proved, and nothing was asked about a space of several texts",
        ),
    ],
)
def test_words_outside_the_space_are_found(trial: Trial, space: SearchSpace, problem: str) -> None:
    assert needs_space(trial)
    assert check_trial(trial, EXAMPLE, RULES, space) == problem
    assert check_trial(trial, EXAMPLE, RULES) is None


def test_a_space_of_one_text_is_proved_without_a_question() -> None:
    assert check_trial(proved(asked=0, forwarded=0), EXAMPLE, RULES, ONE_TEXT) is None


@pytest.mark.parametrize(
    ("trial", "problem"),
    [
        (fooled(changes=(), text="awful"), None),
        (held(adversarial_prediction=1, text="good film"), None),
        (fooled(), "it holds changes or a proof, and the attack is outside the surface"),
        (proved(), "it holds changes or a proof, and the attack is outside the surface"),
        (fooled(changes=(), text="a good film"), "its text is the unchanged one"),
        (fooled(changes=()), "the verdict is fooled, and there is no changed text"),
    ],
)
def test_attacks_outside_the_surface_have_rules_of_their_own(
    trial: Trial, problem: str | None
) -> None:
    assert check_trial(trial, EXAMPLE, OUTSIDE) == problem


def test_only_changes_and_proofs_need_the_space() -> None:
    needed = [needs_space(trial) for trial in (fooled(), proved(), held(), wrong(), failed())]
    assert needed == [True, True, False, False, False]
