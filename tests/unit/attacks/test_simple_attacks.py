"""The baselines greedy and random, and the search by labels, hard-label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import ATTACKS, BudgetSpent, Choice, SearchSpace
from robench.search.jobs import Job
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
    """Return the text found and, for each query, its texts that were not queried before."""
    log: list[np.ndarray] = []
    found = Subject.of(name, options=options).alone(victim, job, log)
    names = {number: word for word, number in victim.table.numbers.items()}
    return found, [
        [" ".join(names[number] for number in row[1:-1]) for row in rows.tolist()] for rows in log
    ]


@pytest.mark.parametrize("name", ["greedy", "random", "hard-label"])
def test_a_text_without_substitutes_is_not_queried(name: str) -> None:
    assert search(name, additive(4), BARE) == (None, [])
    assert search(name, additive(4), make_job("", {})) == (None, [])


def test_greedy_begins_with_the_position_of_the_largest_effect() -> None:
    found, queries = search("greedy", additive(4.5), JOB)
    assert queries[0] == ["a1 x b c", "a2 x b c", "a x b1 c", "a x b c1", "a x b c2"]
    # c comes first, since c1 lowers the margin by 3. Of its options only the original text is not
    # known yet. Then comes a, beside c1, and a1 fools the victim.
    assert queries[1:] == [["a x b c"], ["a1 x b c1", "a2 x b c1"]]
    assert found is not None
    assert found.tolist() == [1, 0, 0, 1]


def test_greedy_ends_when_no_position_lowers_the_margin() -> None:
    found, queries = search("greedy", additive(9.5), JOB)
    assert found is None
    asked = [text for query in queries for text in query]
    # At the end the neighbours of the last text are tried, each position once more.
    assert "a1 x b1 c1" in asked
    assert len(asked) == len(set(asked)) < JOB.space.cardinality


def test_greedy_can_restore_an_original_word() -> None:
    """The substitute "a1" helps on its own, but beside "b1" the original word is better."""
    goal = {"a1 b": 2.0, "a b1": 1.0, "a1 b1": 2.5, "a b": 0.0, "a1 b2": 3.0, "a b2": 5.0}
    victim = FakeVictim({}, words=["a", "a1", "b", "b1", "b2"], bias=(4, 0))
    names = {number: word for word, number in victim.table.numbers.items()}
    # In the original text b2 looks harmless.
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
    # 500 are expected, and 5 standard deviations are 110.
    assert counts.min() > 400
    assert counts.max() < 610


@pytest.mark.parametrize(
    ("name", "draws", "queries"),
    [("random", 1, 1), ("random", 100, 100), ("hard-label", 0, 30), ("hard-label", 37, 67)],
)
def test_no_more_texts_are_drawn_than_the_option_allows(
    name: str, draws: int, queries: int
) -> None:
    job = make_job(
        " ".join(f"w{i}" for i in range(30)), {f"w{i}": [f"w{i}a", f"w{i}b"] for i in range(30)}
    )
    victim = FakeVictim(
        {}, words=[option for options in job.space.options for option in options], bias=(1, 0)
    )
    (trial,) = Subject.of(name, options={"draws": draws}).trials(victim, [job]).values()
    assert trial.asked == queries


def test_hard_label_replaces_one_more_word_with_each_draw() -> None:
    attack: Any = Subject.of("hard-label", options={"draws": 20}).make()
    drawn = np.concatenate(list(attack._random_texts(JOB.space, np.random.default_rng(0))))
    # The text has four words, three of them with substitutes. The 20 draws come after these.
    assert (drawn > 0).sum(axis=1).tolist() == [1, 2, 3, 3] + [3] * 20
    assert all(JOB.space.contains(choice) for choice in drawn)
    # The positions are replaced in one order, so a replaced position stays replaced.
    for row in range(23):
        assert ((drawn[row] > 0) <= (drawn[row + 1] > 0)).all()
    # There are two substitutes for a, one for b and two for c.
    assert len(np.unique(drawn[3:], axis=0)) == 4


class Labels:
    """Gives labels only; they are wrong where both position 1 and position 4 are changed.

    Args:
        left: rows that it answers before the budget is spent.
    """

    def __init__(self, left: int = 10**6) -> None:
        self.left = left

    def logits(self, choices: np.ndarray) -> np.ndarray:
        self.left -= len(choices)
        if self.left < 0:
            raise BudgetSpent
        return np.asarray(np.eye(2)[((choices[:, 1] > 0) & (choices[:, 4] > 0)).astype(int)])

    probs = logits_without = probs_without = None


SIX = SearchSpace(tuple("abcdef"), tuple((word, f"{word}1", f"{word}2") for word in "abcdef"), 6)


def hard_label(oracle: Labels, space: SearchSpace = SIX) -> Choice | None:
    return ATTACKS.get("hard-label")().search(space, oracle, 0, np.random.default_rng(0))  # type: ignore[arg-type]


def test_hard_label_restores_every_word_that_is_not_needed() -> None:
    oracle = Labels()
    found = hard_label(oracle)
    assert found is not None
    assert np.flatnonzero(found).tolist() == [1, 4]
    # The first block of 16 finds a text. Then there is one query for each of up to 6 changed
    # words, and one more for each of the 2 that stay changed.
    assert 10**6 - oracle.left <= 16 + 6 + 2


def test_hard_label_restores_words_until_a_round_restores_none() -> None:
    """From the left, "a" can be restored only after "b", so it takes a second round.

    A third round changes nothing.
    """

    class Late(Labels):
        def logits(self, choices: np.ndarray) -> np.ndarray:
            self.left -= len(choices)
            a, b, c = (choices > 0).T
            wrong = (a | ~b) & c if len(choices) == 1 else a & b & c
            return np.asarray(np.eye(2)[wrong.astype(int)])

    oracle = Late()
    found = hard_label(oracle, SearchSpace(SIX.words[:3], SIX.options[:3], 3))
    assert found is not None
    assert (found > 0).tolist() == [False, False, True]
    assert 10**6 - oracle.left == 16 + 3 + 2 + 1


def test_hard_label_keeps_its_success_if_the_budget_is_spent_while_it_restores_words() -> None:
    found = hard_label(Labels(left=17))
    assert found is not None
    assert set(np.flatnonzero(found)) > {1, 4}
