"""Tests of the second attack on some examples, which finds attacks that keep state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from engine_cases import SUBSTITUTES, Everything, victim_that_dislikes
from fake_victims import make_job

from robench import Attack, Choice, Oracle, SearchSpace, Trial, Verdict
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.repeats import AGAIN, KeepsState, Repeats

JOBS = [make_job("a good film", SUBSTITUTES, number=number) for number in range(6)]


def repeated(attack: Attack, disliked: str = "movie", jobs: Sequence[Job] = JOBS) -> list[Trial]:
    victim, repeats = victim_that_dislikes(disliked), Repeats("mine")
    trials = []
    for trial in run(victim, attack, "mine", repeats.jobs(jobs), max_running=1):
        repeats.note(trial)
        trials.append(trial)
    repeats.check(lambda again: run(victim, attack, "mine", again))
    return trials


class Remembering(Attack):
    """Asks fewer texts of each further example."""

    seen: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.seen.clear()

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        self.seen.append(1)
        for _ in range(10 - len(self.seen)):
            oracle.logits(space.original()[None])
        return None


class Drawing(Attack):
    """Draws from the global generator."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for _ in range(int(draws.integers(1, 1000))):
            oracle.logits(space.original()[None])
        return None


draws = np.random.default_rng(0)


class Proper(Attack):
    """Draws from its own stream."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for _ in range(int(rng.integers(1, 50))):
            oracle.logits(space.original()[None])
        return None


@pytest.mark.parametrize("make", [Proper, Everything])
def test_an_attack_without_state_passes(make: Callable[[], Attack]) -> None:
    assert len(repeated(make())) == len(JOBS)


@pytest.mark.parametrize("make", [Remembering, Drawing])
def test_an_attack_with_state_is_found(make: Callable[[], Attack]) -> None:
    with pytest.raises(KeepsState, match="Attack 'mine' gave another trial for fake/0000"):
        repeated(make())


def test_the_sentence_says_what_differs() -> None:
    with pytest.raises(KeepsState, match=r"\(held after 9 queries; then held after 3 queries\)"):
        repeated(Remembering())


def test_no_more_examples_than_said_are_attacked_again() -> None:
    count: list[int] = []

    class Counting(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            count.append(1)
            return None

    repeated(Counting())
    assert len(count) == len(JOBS) + AGAIN


def test_examples_without_a_search_are_not_compared() -> None:
    class Failing(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            tries.append(1)
            raise ValueError(len(tries))

    tries: list[Any] = []
    trials = repeated(Failing())
    assert {trial.verdict for trial in trials} == {Verdict.ERROR}
    assert len(tries) == len(JOBS)
    # All clean texts are misclassified.
    assert {trial.verdict for trial in repeated(Everything(), "film")} == {Verdict.WRONG}
