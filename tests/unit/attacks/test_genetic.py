"""The genetic search as a whole: when it stops; that its last generation counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import make_job

from robench import ATTACKS, SearchSpace, UsageError, build_options

WORDS = [f"w{number}" for number in range(8)]
SPACE = make_job(" ".join(WORDS), {word: [f"{word}a", f"{word}b"] for word in WORDS}).space


class Counting:
    """Class 0 leads by ``need`` minus the number of changed words; counts the generations."""

    def __init__(self, need: float) -> None:
        self.need = need
        self.generations = 0

    def logits(self, choices: np.ndarray) -> np.ndarray:
        # The original text is asked about alone.
        self.generations += len(choices) > 1
        changed = (choices > 0).sum(axis=1)
        return np.stack([self.need - changed, np.zeros(len(choices))], axis=1).astype(np.float32)

    probs = probs_without = None


def search(
    need: float, seed: int = 0, space: SearchSpace = SPACE, **options: int
) -> tuple[Any, int]:
    cls = ATTACKS.get("genetic")
    oracle = Counting(need)
    found = cls(cls.Options(**options)).search(space, oracle, 0, np.random.default_rng(seed))  # type: ignore[arg-type]
    return found, oracle.generations


@pytest.mark.parametrize("seed", range(5))
def test_a_success_in_the_last_generation_counts(seed: int) -> None:
    found, generations = search(4.5, seed)
    assert found is not None
    assert generations > 2
    # The first population is not an iteration.
    iterations = generations - 1
    last, _ = search(4.5, seed, iterations=iterations)
    assert last.tolist() == found.tolist()
    assert search(4.5, seed, iterations=iterations - 1) == (None, iterations)


def test_a_success_in_the_first_population_ends_the_search() -> None:
    found, generations = search(0.5)
    assert (generations, int((found > 0).sum())) == (1, 1)
    assert search(0.5, iterations=0)[0] is not None


def test_the_search_ends_after_the_first_population_and_forty_more() -> None:
    assert search(100) == (None, 41)


def test_a_tie_of_the_logits_is_no_success() -> None:
    assert search(8, iterations=60)[0] is None


def test_population_and_iterations_are_options() -> None:
    assert search(100, population=2, iterations=3) == (None, 4)


def test_a_text_without_substitutes_is_not_queried() -> None:
    assert search(0.5, space=make_job("no substitutes", {}).space) == (None, 0)
    assert search(0.5, space=make_job("", {}).space) == (None, 0)


@pytest.mark.parametrize(
    "values",
    [{"population": "1"}, {"iterations": "-1"}, {"population": "many"}, {"temperature": "0.3"}],
)
def test_options_out_of_range_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        build_options(ATTACKS.get("genetic").Options, values, "attack 'genetic'")
