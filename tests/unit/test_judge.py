"""The verdict rests on the text, from the string up, and on the words; other fields stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench.search.attack import Verdict
from robench.search.judge import changed_text, clean_predictions, rule
from robench.search.port import Job
from robench.search.space import SearchSpace
from robench.tasks.base import Example
from robench.text.words import split_words

WEIGHTS = {"good": [0, 0], "nice": [0, 9], "fine": [0, 0], "film": [0, 0]}
JOB = make_job("good film", {"good": ["nice", "fine"]}, premise="It  was a GOOD  one .")


class Spy(FakeVictim):
    """Remembers the texts it was asked about; ``accident`` flips its answer on texts from the string up that hold it."""

    def __init__(self, accident: str = "") -> None:
        super().__init__(WEIGHTS, bias=(4, 0))
        self.accident = accident
        self.texts: list[Mapping[str, str]] = []

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> np.ndarray:
        self.texts += texts
        probs = super().probs_of_texts(texts)
        flipped = [bool(self.accident) and self.accident in text["text"] for text in texts]
        return np.where(np.array(flipped)[:, None], probs[:, ::-1], probs)


def choice(*row: int) -> np.ndarray:
    return np.array(row, dtype=np.int16)


def test_the_victim_is_asked_about_the_changed_text_and_the_other_field_untouched() -> None:
    victim = Spy()
    (ruling,) = rule(victim, [JOB], [choice(1, 0)])
    assert victim.texts == [{"premise": "It  was a GOOD  one .", "text": "nice film"}]
    assert (ruling.verdict, ruling.adversarial_prediction) == (Verdict.FOOLED, 1)


def test_every_character_but_the_changed_words_stays() -> None:
    text = 'He said:  "a good film", didn\'t he?'
    words = tuple(split_words(text))
    space = SearchSpace(words, tuple((word, "fine") if word == "good" else (word,) for word in words), len(words))
    job = Job(Example("x/1", {"text": text}, 0), {"text": words}, space)
    choice = (np.array(words) == "good").astype(np.int16)
    assert changed_text(job, "text", choice) == {"text": 'He said:  "a fine film", didn\'t he?'}


def test_words_of_another_splitter_are_joined() -> None:
    job = make_job("don't", {"don't": ["do"]})
    assert changed_text(job, "text", choice(1)) == {"text": "do"}


def test_the_order_of_fields_is_kept() -> None:
    assert list(changed_text(JOB, "text", choice(1, 0))) == list(JOB.example.fields)


def test_wrong_on_the_words_but_right_on_the_text_is_held() -> None:
    (ruling,) = rule(Spy(accident="nice"), [JOB], [choice(1, 0)])
    assert (ruling.verdict, ruling.adversarial_prediction) == (Verdict.HELD, 0)
    assert "right on the text" in str(ruling.problem)


def test_wrong_on_the_text_only_is_held() -> None:
    (ruling,) = rule(Spy(accident="fine"), [JOB], [choice(2, 0)])
    assert (ruling.verdict, ruling.adversarial_prediction) == (Verdict.HELD, 1)
    assert "right on the substituted words" in str(ruling.problem)


QUOTED = make_job("film ''", {"film": ["nice", "fine"]})  # NLTK makes `` of a quotation mark after a blank


@pytest.mark.parametrize(("job", "cause"), [(JOB, "rounding decides"), (QUOTED, "splits into other words")])
@pytest.mark.parametrize(("accident", "option"), [("nice", 1), ("fine", 2)])
def test_the_reason_is_the_true_one(job: Job, cause: str, accident: str, option: int) -> None:
    """The text and its words give different answers: only where the text splits into other words is splitting to blame."""
    (ruling,) = rule(Spy(accident), [job], [choice(option, 0)])
    assert ruling.verdict == Verdict.HELD
    assert cause in str(ruling.problem)


def test_the_verdict_is_fp32() -> None:
    victim = Spy()
    rule(victim, [JOB], [choice(1, 0)])
    assert set(victim.precisions) == {"fp32"}


def test_the_unchanged_text_is_a_claim_that_is_not_believed() -> None:
    (ruling,) = rule(Spy(), [JOB], [choice(0, 0)])
    assert (ruling.verdict, ruling.adversarial_prediction) == (Verdict.HELD, 0)


def test_many_at_once_keep_their_order() -> None:
    rulings = rule(Spy(), [JOB] * 5, [choice(1, 0), choice(2, 0), choice(0, 0), choice(5, 0), [1, 0]])
    assert [ruling.verdict for ruling in rulings] == ["fooled", "held", "held", "error", "fooled"]


def test_nothing_to_judge() -> None:
    assert rule(Spy(), [], []) == []
    assert clean_predictions(Spy(), []) == []


def test_a_victim_that_breaks_on_one_text_is_asked_about_the_others_alone() -> None:
    victim = FakeVictim(WEIGHTS, bias=(4, 0))
    fine = victim.table.numbers["fine"]

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == fine).any():
            raise RuntimeError("no fine")
        return logits

    victim.twist = twist
    rulings = rule(victim, [JOB] * 3, [choice(1, 0), choice(2, 0), choice(1, 0)])
    assert [ruling.verdict for ruling in rulings] == ["fooled", "error", "fooled"]
    assert "no fine" in str(rulings[1].problem)


def test_clean_predictions_name_the_broken_one() -> None:
    victim = FakeVictim(WEIGHTS, bias=(4, 0))
    victim.twist = lambda ids, logits: np.where((ids == victim.table.numbers["nice"]).any(axis=1)[:, None], np.float32(np.nan), logits)
    jobs = [make_job(text, {}) for text in ("good", "nice", "film")]
    first, broken, last = clean_predictions(victim, jobs)
    assert (first, last) == (0, 0)
    assert isinstance(broken, ValueError)


@pytest.mark.parametrize("shape", [(2,), (1, 2, 2)])
def test_an_answer_of_the_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    victim = Spy()
    victim.probs_of_texts = lambda texts: np.zeros(shape)  # type: ignore[method-assign]
    (outcome,) = clean_predictions(victim, [JOB])
    assert isinstance(outcome, ValueError)


def test_words_that_the_search_asked_about_are_not_asked_about_again() -> None:
    victim = Spy()
    (ruling,) = rule(victim, [JOB], [choice(1, 0)], [lambda _: 1])
    assert (ruling.verdict, len(victim.forwards)) == (Verdict.FOOLED, 1)  # the string
    (ruling,) = rule(victim, [JOB], [choice(1, 0)], [lambda _: None])
    assert (ruling.verdict, len(victim.forwards)) == (Verdict.FOOLED, 3)


def test_what_is_recalled_counts_for_the_words() -> None:
    (ruling,) = rule(Spy(), [JOB], [choice(1, 0)], [lambda _: 0])
    assert ruling.verdict == Verdict.HELD
    assert "right on the substituted words" in str(ruling.problem)


def test_each_claim_has_its_own_recall() -> None:
    recalls = [lambda _: None, lambda _: 1, lambda _: None]
    rulings = rule(Spy(), [JOB] * 3, [choice(2, 0), choice(1, 0), choice(1, 0)], recalls)
    assert [ruling.verdict for ruling in rulings] == [Verdict.HELD, Verdict.FOOLED, Verdict.FOOLED]
