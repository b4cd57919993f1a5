"""The baselines and the search by labels: greedy, random, hard-label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import ATTACKS, BudgetSpent, Choice, SearchSpace
from robench.search.victim_protocol import Job
from robench.testing import Subject

WEIGHTS = {"a": 0, "a1": 1, "a2": -1, "b": 1, "b1": 0, "c": 0, "c1": 3, "c2": 2}
JOB = make_job("a x b c", {"a": ["a1", "a2"], "b": ["b1"], "c": ["c1", "c2"]})
BARE = make_job("no substitutes", {})


def additive(bias: float) -> FakeVictim:
    return FakeVictim(
        {word: [0, weight] for word, weight in WEIGHTS.items()},
        words=["x", "no", "substitutes"],
        bias=(bias, 0),
    )


def search(
    name: str, victim: FakeVictim, job: Job, **options: Any
) -> tuple[Choice | None, list[list[str]]]:
    """What it returns, and the new texts of every question."""
    log: list[np.ndarray] = []
    found = Subject.of(name, options=options).alone(victim, job, log)
    names = {number: word for word, number in victim.table.numbers.items()}
    return found, [
        [" ".join(names[number] for number in row[1:-1]) for row in rows.tolist()] for rows in log
    ]


@pytest.mark.parametrize("name", ["greedy", "random", "hard-label"])
def test_nothing_is_asked_about_a_text_without_substitutes(name: str) -> None:
    assert search(name, additive(4), BARE) == (None, [])
    assert search(name, additive(4), make_job("", {})) == (None, [])


def test_greedy_walks_from_the_most_telling_position_on() -> None:
    found, questions = search("greedy", additive(4.5), JOB)
    assert questions[0] == ["a1 x b c", "a2 x b c", "a x b1 c", "a x b c1", "a x b c2"]
    # c first (c1 drops the margin by 3); its options are known but for the original text itself. Then a, beside c1: a1 fools.
    assert questions[1:] == [["a x b c"], ["a1 x b c1", "a2 x b c1"]]
    assert found is not None
    assert found.tolist() == [1, 0, 0, 1]


def test_greedy_ends_where_no_position_helps() -> None:
    found, questions = search("greedy", additive(9.5), JOB)
    assert found is None
    asked = [text for question in questions for text in question]
    assert "a1 x b1 c1" in asked  # around the end: its neighbours, each position once more
    assert len(asked) == len(set(asked)) < JOB.space.cardinality


def test_greedy_takes_a_substitute_back() -> None:
    """ "a1" helps alone, but beside "b1" the original word is better."""
    goal = {"a1 b": 2.0, "a b1": 1.0, "a1 b1": 2.5, "a b": 0.0, "a1 b2": 3.0, "a b2": 5.0}
    victim = FakeVictim({}, words=["a", "a1", "b", "b1", "b2"], bias=(4, 0))
    names = {number: word for word, number in victim.table.numbers.items()}
    # b2 cannot be seen from the original text: there it looks harmless.
    hidden = {**goal, "a b2": 0.0}
    victim.twist = lambda ids, logits: (
        logits
        + np.array([[0, hidden[" ".join(names[n] for n in row[1:3])]] for row in ids.tolist()])
    )
    found, _ = search("greedy", victim, make_job("a b", {"a": ["a1"], "b": ["b1", "b2"]}))
    assert found is None
    hidden["a1 b2"] = 4.5
    found, _ = search("greedy", victim, make_job("a b", {"a": ["a1"], "b": ["b1", "b2"]}))
    assert found is not None
    assert found.tolist() == [1, 2]


def test_random_draws_every_text_of_the_space_equally_often() -> None:
    attack: Any = Subject.of("random", options={"draws": 9000}).make()
    drawn = np.concatenate(list(attack._blocks(JOB.space, np.random.default_rng(0))))
    texts, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(drawn) == 9000
    assert len(texts) == JOB.space.cardinality == 18
    assert counts.min() > 400  # 500 expected, 5 standard deviations are 110
    assert counts.max() < 610


@pytest.mark.parametrize(
    ("name", "draws", "questions"),
    [("random", 1, 1), ("random", 100, 100), ("hard-label", 0, 30), ("hard-label", 37, 67)],
)
def test_no_more_is_drawn_than_allowed(name: str, draws: int, questions: int) -> None:
    job = make_job(
        " ".join(f"w{i}" for i in range(30)), {f"w{i}": [f"w{i}a", f"w{i}b"] for i in range(30)}
    )
    victim = FakeVictim(
        {}, words=[option for options in job.space.options for option in options], bias=(1, 0)
    )
    (trial,) = Subject.of(name, options={"draws": draws}).trials(victim, [job]).values()
    assert trial.asked == questions


def test_hard_label_changes_more_and_more_words() -> None:
    attack: Any = Subject.of("hard-label", options={"draws": 20}).make()
    drawn = np.concatenate(list(attack._starts(JOB.space, np.random.default_rng(0))))
    assert (drawn > 0).sum(axis=1).tolist() == [1, 2, 3, 3] + [
        3
    ] * 20  # four words, of which three have substitutes; then the draws
    assert all(JOB.space.contains(choice) for choice in drawn)
    assert all(
        ((drawn[row] > 0) <= (drawn[row + 1] > 0)).all() for row in range(23)
    )  # one order of the positions
    assert len(np.unique(drawn[3:], axis=0)) == 4  # a: two, b: one, c: two


class Labels:
    """Answers with labels only: wrong where both position 1 and position 4 are changed. ``left``: rows it answers before the budget is spent."""

    def __init__(self, left: int = 10**6) -> None:
        self.left = left

    def probs(self, choices: np.ndarray) -> np.ndarray:
        self.left -= len(choices)
        if self.left < 0:
            raise BudgetSpent
        return np.asarray(np.eye(2)[((choices[:, 1] > 0) & (choices[:, 4] > 0)).astype(int)])

    logits = probs_without = None


SIX = SearchSpace(tuple("abcdef"), tuple((word, f"{word}1", f"{word}2") for word in "abcdef"), 6)


def hard_label(oracle: Labels, space: SearchSpace = SIX) -> Choice | None:
    return ATTACKS.get("hard-label")().search(space, oracle, 0, np.random.default_rng(0))  # type: ignore[arg-type]


def test_hard_label_puts_back_every_word_that_is_not_needed() -> None:
    oracle = Labels()
    found = hard_label(oracle)
    assert found is not None
    assert np.flatnonzero(found).tolist() == [1, 4]
    assert (
        10**6 - oracle.left <= 16 + 6 + 2
    )  # found in the first block; one question for every changed word; once more for those that stayed


def test_hard_label_puts_words_back_until_none_can_be() -> None:
    """Going from the left, "a" can only go after "b" has: it falls in the second round. A third one changes nothing."""

    class Late(Labels):
        def probs(self, choices: np.ndarray) -> np.ndarray:
            self.left -= len(choices)
            a, b, c = (choices > 0).T
            wrong = (a | ~b) & c if len(choices) == 1 else a & b & c
            return np.asarray(np.eye(2)[wrong.astype(int)])

    oracle = Late()
    found = hard_label(oracle, SearchSpace(SIX.words[:3], SIX.options[:3], 3))
    assert found is not None
    assert (found > 0).tolist() == [False, False, True]
    assert 10**6 - oracle.left == 16 + 3 + 2 + 1


def test_hard_label_keeps_its_success_when_the_budget_ends_on_the_way_back() -> None:
    found = hard_label(Labels(left=17))
    assert found is not None
    assert set(np.flatnonzero(found)) > {1, 4}
