"""Problems of held trials, and what else a file of trials holds."""

from __future__ import annotations

from itertools import product

import pytest

from robench.search import judge
from robench.search.attack import Trial, Verdict
from robench.verification.trial_notes import NOT_EXACT, REJECTED, free_texts


def trial(problem: str | None, verdict: Verdict = Verdict.HELD) -> Trial:
    """Return a trial with a problem."""
    return Trial(id="toy/1", verdict=verdict, label=1, prediction=1, problem=problem)


def test_every_sentence_of_the_judge_is_known() -> None:
    classes = [(0, 1), (1, 0), (1, 1)]
    said = {
        judge._why_rejected(1, text, words, intended)
        for (text, words), intended in product(classes, (True, False))
    }
    assert {*said, judge.UNCHANGED} == REJECTED


@pytest.mark.parametrize("problem", [None, *sorted(REJECTED), NOT_EXACT])
def test_what_robench_writes_is_no_free_text(problem: str | None) -> None:
    assert free_texts([trial(problem)], None) == []


def test_the_note_on_a_budget_belongs_to_its_budget() -> None:
    spent = [trial("the budget of 75 rows was spent")]
    assert free_texts(spent, 75) == []
    assert len(free_texts(spent, 80)) == len(free_texts(spent, None)) == 1


def test_free_text_is_not_shown() -> None:
    (said,) = free_texts([trial("forged \x1b[31m text")], None)
    assert said == "toy/1 is 'held', and its 'problem' is no sentence that robench writes"
    assert free_texts([trial("anything", Verdict.ERROR)], None) == []
