"""Tests of the verdict, which asks about the string of a text and about its words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from fake_victims import make_job

from robench.search.attack import Change, Verdict
from robench.search.jobs import Job
from robench.search.judge import MISTAKEN, Judgement, fields_with_choice, judge_choice, judge_text
from robench.tasks.example import Example
from robench.text.space import Choice, SearchSpace
from robench.text.words import split_words

JOB = make_job("good film", {"good": ["nice", "fine"]}, premise="It  was a GOOD  one .")


class Spy:
    """A victim that records what it is asked.

    It is wrong (class 1) on "nice". On strings that hold ``accident`` it is the other way round.
    """

    def __init__(self, accident: str = "") -> None:
        self.accident = accident
        self.texts: list[Mapping[str, str]] = []
        self.words: list[tuple[str, ...]] = []

    def judge_choice(self, job: Job, returned: object) -> Judgement:
        def of_text(fields: Mapping[str, str]) -> int:
            self.texts.append(fields)
            return int(
                ("nice" in fields["text"])
                != (bool(self.accident) and self.accident in fields["text"])
            )

        def of_words(choice: Choice) -> int:
            self.words.append(job.space.text(choice))
            return int("nice" in job.space.text(choice))

        return judge_choice(job, "text", returned, of_text, of_words)


def choice(*row: int) -> np.ndarray:
    return np.array(row, dtype=np.int16)


def test_the_victim_gets_the_changed_text_and_the_unchanged_other_field() -> None:
    victim = Spy()
    judgement = victim.judge_choice(JOB, choice(1, 0))
    assert victim.texts == [{"premise": "It  was a GOOD  one .", "text": "nice film"}]
    assert victim.words == [("nice", "film")]
    assert (judgement.verdict, judgement.adversarial_prediction) == (Verdict.FOOLED, 1)


def test_all_characters_except_the_changed_words_stay() -> None:
    text = 'He said:  "a good film", didn\'t he?'
    words = tuple(split_words(text))
    space = SearchSpace(
        words, tuple((word, "fine") if word == "good" else (word,) for word in words), len(words)
    )
    job = Job(Example("x/1", {"text": text}, 0), {"text": words}, space)
    choice = (np.array(words) == "good").astype(np.int16)
    assert fields_with_choice(job, "text", choice) == {
        "text": 'He said:  "a fine film", didn\'t he?'
    }


def test_words_of_another_splitter_are_joined() -> None:
    job = make_job("don't", {"don't": ["do"]})
    assert fields_with_choice(job, "text", choice(1)) == {"text": "do"}


def test_the_order_of_fields_is_kept() -> None:
    assert list(fields_with_choice(JOB, "text", choice(1, 0))) == list(JOB.example.fields)


def test_wrong_on_the_words_but_right_on_the_text_is_held() -> None:
    judgement = Spy(accident="nice").judge_choice(JOB, choice(1, 0))
    assert (judgement.verdict, judgement.adversarial_prediction) == (Verdict.HELD, 0)
    assert "right on the text" in str(judgement.problem)


def test_wrong_on_the_text_only_is_held() -> None:
    judgement = Spy(accident="fine").judge_choice(JOB, choice(2, 0))
    assert (judgement.verdict, judgement.adversarial_prediction) == (Verdict.HELD, 1)
    assert "right on the substituted words" in str(judgement.problem)


# NLTK turns a quotation mark after a blank into ``.
QUOTED = make_job("film ''", {"film": ["nice", "fine"]})


@pytest.mark.parametrize(
    ("job", "cause"), [(JOB, "rounding decides"), (QUOTED, "splits into other words")]
)
@pytest.mark.parametrize(("accident", "option"), [("nice", 1), ("fine", 2)])
def test_the_reason_for_a_rejection_is_correct(
    job: Job, cause: str, accident: str, option: int
) -> None:
    """If the text and its words give different answers, the reason is named correctly.

    Splitting is the reason only if the text splits into other words.
    """
    judgement = Spy(accident).judge_choice(job, choice(option, 0))
    assert judgement.verdict == Verdict.HELD
    assert cause in str(judgement.problem)


def test_the_unchanged_text_is_rejected_as_a_success() -> None:
    victim = Spy()
    judgement = victim.judge_choice(JOB, choice(0, 0))
    assert (judgement.verdict, judgement.adversarial_prediction, victim.texts) == (
        Verdict.HELD,
        0,
        [],
    )
    assert "unchanged" in str(judgement.problem)


def test_a_choice_that_does_not_fool_the_victim_is_held() -> None:
    assert Spy().judge_choice(JOB, choice(2, 0)) == Judgement(
        Verdict.HELD, 0, (Change(position=0, original="good", substitute="fine"),), MISTAKEN
    )


@pytest.mark.parametrize(
    "returned", [choice(5, 0), choice(1), [0.0, 1.0], "nice film", [[0], [0, 1]]]
)
def test_an_invalid_choice_is_an_error_without_any_query(returned: object) -> None:
    victim = Spy()
    judgement = victim.judge_choice(JOB, returned)
    assert (judgement.verdict, victim.texts, victim.words) == (Verdict.ERROR, [], [])
    assert str(judgement.problem).startswith("the attack returned")


def test_a_list_of_integers_is_a_choice() -> None:
    assert Spy().judge_choice(JOB, [1, 0]).verdict == Verdict.FOOLED


def breaks(_: object) -> int:
    raise MemoryError("too long")


@pytest.mark.parametrize(
    "judgement",
    [
        judge_choice(JOB, "text", choice(1, 0), breaks, lambda _: 1),
        judge_choice(JOB, "text", choice(1, 0), lambda _: 1, breaks),
    ],
)
def test_a_victim_that_fails_on_string_or_words_is_an_error(judgement: Judgement) -> None:
    assert judgement == Judgement(
        Verdict.ERROR, problem="the victim failed on the returned text: MemoryError: too long"
    )


@pytest.mark.parametrize(
    ("returned", "judgement"),
    [
        ("nice", Judgement(Verdict.FOOLED, 1, text="nice")),
        ("fine", Judgement(Verdict.HELD, 0, problem=MISTAKEN, text="fine")),
        (
            "good film",
            Judgement(
                Verdict.HELD, 0, problem="the attack returned the unchanged text as a success"
            ),
        ),
        (
            choice(1, 0),
            Judgement(Verdict.ERROR, problem="the attack returned ndarray instead of a text"),
        ),
    ],
)
def test_texts_from_outside_the_surface_are_judged(returned: object, judgement: Judgement) -> None:
    asked: list[Mapping[str, str]] = []

    def of_text(fields: Mapping[str, str]) -> int:
        asked.append(fields)
        return int(fields["text"] == "nice")

    assert judge_text(JOB, "text", returned, of_text) == judgement
    assert asked == (
        [{"premise": "It  was a GOOD  one .", "text": returned}] if judgement.text else []
    )


def test_a_victim_that_fails_on_such_a_text_is_an_error_with_the_text() -> None:
    judgement = judge_text(JOB, "text", "nice", breaks)
    assert (judgement.verdict, judgement.text) == (Verdict.ERROR, "nice")
    assert "MemoryError: too long" in str(judgement.problem)


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("mute")

    def mute(_: object) -> int:
        raise Mute

    assert (
        judge_choice(JOB, "text", choice(1, 0), mute, lambda _: 1).problem
        == "the victim failed on the returned text: Mute"
    )
