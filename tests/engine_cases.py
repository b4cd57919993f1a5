"""A job, a victim and attacks for the tests of the engine (pytest puts tests/ on the path)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from fake_victims import FakeVictim, make_job

from robench import Attack, Choice, Oracle, SearchSpace, Trial
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import SearchVictim

SUBSTITUTES = {"good": ["fine", "nice"], "film": ["movie"]}
JOB = make_job("a good film", SUBSTITUTES)


def victim_that_dislikes(*words: str) -> FakeVictim:
    known = ["a", "good", "film", "fine", "nice", "movie"]
    return FakeVictim({word: [0, 10 if word in words else 0] for word in known}, bias=(4, 0))


class FunctionAttack(Attack):
    """An attack that searches with a given function."""

    def __init__(
        self, search: Callable[[SearchSpace, Oracle, int, np.random.Generator], object]
    ) -> None:
        super().__init__()
        self._search = search

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return self._search(space, oracle, label, rng)  # type: ignore[return-value]


class Everything(Attack):
    """Queries the whole space, row by row."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for row in product(*(range(size) for size in space.sizes.tolist())):
            choice = np.array([row], dtype=np.int16)
            if oracle.logits(choice).argmax() != label:
                return np.array(choice[0])
        return None


def attack_one(
    search: Callable[..., object],
    victim: SearchVictim | None = None,
    job: Job = JOB,
    **settings: Any,
) -> Trial:
    own = {name: settings.pop(name) for name in ("budget", "precision") if name in settings}
    victim = victim or victim_that_dislikes()
    trials = list(
        run(victim, FunctionAttack(search), "doing", [job], SearchSettings(**own), **settings)
    )
    assert len(trials) == 1
    return trials[0]


def choice_of(*row: int) -> Choice:
    return np.array(row, dtype=np.int16)
