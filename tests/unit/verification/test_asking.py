"""Texts that are asked again: the choice that a trial claims, and how answers are compared."""

from __future__ import annotations

import pytest

from robench.search.attack import Change, Trial, Verdict
from robench.search.jobs import Job
from robench.tasks.example import Example
from robench.text.space import SearchSpace
from robench.verification.asking import Answers, claimed_choice, differences

SPACE = SearchSpace(("a", "good", "film"), (("a",), ("good", "fine", "bad"), ("film", "movie")), 3)
JOB = Job(Example("toy/1", {"text": "a good film"}, 1), {"text": SPACE.words}, SPACE)


def trial(**fields: object) -> Trial:
    """Return a fooled trial of the example."""
    values = {
        "id": "toy/1",
        "verdict": Verdict.FOOLED,
        "label": 1,
        "prediction": 1,
        "adversarial_prediction": 0,
        "probs": (0.2, 0.8),
        "adversarial_probs": (0.6, 0.4),
        **fields,
    }
    return Trial.model_validate(values)


def change(position: int, original: str, substitute: str) -> Change:
    """Return a change of a word."""
    return Change(position=position, original=original, substitute=substitute)


def test_changes_as_a_choice() -> None:
    changes = (change(1, "good", "bad"), change(2, "film", "movie"))
    choice, problem = claimed_choice(JOB, trial(changes=changes))
    assert problem is None
    assert choice is not None
    assert choice.tolist() == [0, 2, 1]


def test_no_claim_is_no_choice() -> None:
    assert claimed_choice(JOB, trial(verdict=Verdict.HELD)) == (None, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"changes": (change(1, "good", "awful"),)}, "which its surface does not allow"),
        ({"changes": (change(0, "a", "the"),)}, "which its surface does not allow"),
        ({"changes": (change(1, "good", "good"),)}, "which its surface does not allow"),
        ({"changes": (change(1, "nice", "fine"),)}, "has no word 'nice' at 1"),
        ({"changes": (change(3, "good", "fine"),)}, "has no word 'good' at 3"),
        ({"changes": (change(-2, "good", "fine"),)}, "has no word 'good' at -2"),
        ({"text": "a bad film"}, "written freely, outside the surface"),
    ],
)
def test_claims_outside_the_surface(fields: dict[str, object], said: str) -> None:
    choice, problem = claimed_choice(JOB, trial(**fields))
    assert choice is None
    assert problem is not None
    assert said in problem


def compared(was: Trial, now: Trial, *, exact: bool = True) -> tuple[list[str], list[str]]:
    """Compare a trial with an answer."""
    return differences([was], Answers({now.id: now}, []), {"toy/1": 1}, exact=exact)


def test_the_same_answer() -> None:
    assert compared(trial(), trial(asked=9, seconds=1.0)) == ([], [])


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ({"label": 0}, {}, "the label of toy/1 is 0, and its text has 1"),
        ({}, {"verdict": "wrong", "prediction": 0}, "the victim is wrong on the clean text"),
        ({"verdict": "wrong"}, {}, "the victim is right on the clean text"),
        (
            {"verdict": "wrong", "prediction": 0},
            {"verdict": "wrong", "prediction": 2},
            "prediction",
        ),
        ({}, {"verdict": "held"}, "its text does not fool the victim"),
        ({"verdict": "held"}, {}, "its text fools the victim"),
        ({}, {"adversarial_prediction": 2}, "the adversarial prediction 0"),
        ({}, {"probs": (0.3, 0.7)}, "other probabilities on its clean text"),
        ({}, {"adversarial_probs": (0.7, 0.3)}, "other probabilities on its adversarial text"),
        ({}, {"verdict": "error", "problem": "gone"}, "cannot be asked again: gone"),
    ],
)
def test_other_answers(was: dict[str, object], now: dict[str, object], said: str) -> None:
    for exact in (True, False):
        hard, soft = compared(trial(**was), trial(**now), exact=exact)
        assert len(hard) == 1
        assert said in hard[0]
        assert soft == []


def test_last_digits_differ_on_another_machine() -> None:
    now = trial(probs=(0.20001, 0.79999))
    assert compared(trial(), now, exact=False) == ([], [])
    assert len(compared(trial(), now, exact=True)[0]) == 1


def test_a_text_at_the_border_is_a_note_on_another_machine() -> None:
    now = trial(verdict="held", adversarial_probs=(0.4999, 0.5001))
    was = trial(adversarial_probs=(0.5001, 0.4999))
    hard, soft = compared(was, now, exact=False)
    assert hard == []
    assert len(soft) == 1
    assert len(compared(was, now, exact=True)[0]) == 1


def test_an_error_is_not_asked_again() -> None:
    was = trial(verdict="error", prediction=None, problem="gone")
    assert differences([was], Answers({}, []), {"toy/1": 1}, exact=True) == ([], [])


def test_texts_outside_the_surface_are_differences() -> None:
    answers = Answers({"toy/1": trial()}, ["outside"])
    assert differences([trial()], answers, {"toy/1": 1}, exact=False)[0] == ["outside"]
