"""Exhaustive search: which texts it queries, in which order, and when it proves a text held."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import Choice, Verdict
from robench.search.jobs import Job
from robench.testing import Subject

# Weight of class 1; label 0 has logit 4.
WEIGHTS = {"a": 0, "a1": 1, "a2": -1, "b": 1, "b1": 0, "c": 0, "c1": 3, "c2": 2}
JOB = make_job("a x b c", {"a": ["a1", "a2"], "b": ["b1"], "c": ["c1", "c2"]})


def search(victim: FakeVictim, job: Job, **options: Any) -> tuple[Choice | None, list[str]]:
    """Return the text found and every text that went through the victim, in order."""
    log: list[np.ndarray] = []
    found = Subject.of("exhaustive", options=options).alone(victim, job, log)
    names = {number: word for word, number in victim.table.numbers.items()}
    return found, [
        " ".join(names[number] for number in row[1:-1]) for rows in log for row in rows.tolist()
    ]


def additive(bias: float) -> FakeVictim:
    return FakeVictim(
        {word: [0, weight] for word, weight in WEIGHTS.items()}, words=["x"], bias=(bias, 0)
    )


def test_the_single_substitutions_come_first_and_then_the_likeliest_text() -> None:
    found, asked = search(additive(4.5), JOB)
    assert asked[:6] == ["a x b c", "a1 x b c", "a2 x b c", "a x b1 c", "a x b c1", "a x b c2"]
    # The largest sum of weights is 1 + 1 + 3 = 5.
    assert asked[6] == "a1 x b c1"
    assert found is not None
    assert found.tolist() == [1, 0, 0, 1]


def test_the_position_with_the_least_effect_changes_fastest() -> None:
    # The best option leaves the margin 9.5 - 4 at c, 9.5 - 2 at a and 9.5 - 1 at b (the original
    # word). So c changes slowest and b fastest.
    _, asked = search(additive(9.5), JOB)
    order = [
        "a1 x b c1",
        "a1 x b1 c1",
        "a x b1 c1",
        "a2 x b c1",
        "a2 x b1 c1",
        "a1 x b c2",
        "a1 x b1 c2",
        "a x b1 c2",
        "a2 x b c2",
        "a2 x b1 c2",
    ]
    # The texts of the first query are missing: the oracle answers them from memory.
    assert asked[6:] == [*order, "a1 x b1 c", "a2 x b1 c"]


def test_every_text_is_queried_once_and_then_the_example_is_proved_to_hold() -> None:
    victim = additive(9.5)
    found, asked = search(victim, JOB)
    assert found is None
    assert sorted(asked) == sorted(" ".join(words) for words in product(*JOB.space.options))
    (trial,) = Subject.of("exhaustive").trials(victim, [JOB]).values()
    assert (trial.verdict, trial.forwarded) == (Verdict.HELD_PROVED, 18)


def test_a_space_larger_than_max_size_is_not_searched_whole() -> None:
    (whole,) = (
        Subject.of("exhaustive", options={"max_size": 18}).trials(additive(9.5), [JOB]).values()
    )
    (rest,) = (
        Subject.of("exhaustive", options={"max_size": 17}).trials(additive(9.5), [JOB]).values()
    )
    (part,) = (
        Subject.of("exhaustive", options={"max_size": 16}).trials(additive(9.5), [JOB]).values()
    )
    assert (whole.verdict, part.verdict) == (Verdict.HELD_PROVED, Verdict.HELD)
    # These are all texts but the clean one, which the core has queried already.
    assert (rest.verdict, rest.asked) == (Verdict.HELD_PROVED, 17)
    assert part.asked == 16


def test_best_first_expands_the_least_margin_and_among_equals_the_older() -> None:
    _, asked = search(additive(9.5), JOB, max_size=10)
    around_the_original = ["a1 x b c", "a2 x b c", "a x b1 c", "a x b c1", "a x b c2"]
    assert asked[:5] == around_the_original
    around_c1 = ["a1 x b c1", "a2 x b c1", "a x b1 c1"]
    assert asked[5:8] == around_c1
    # By then "a1 x b c1" has the least margin.
    assert asked[8:] == ["a1 x b1 c1", "a1 x b c2"]


def test_best_first_finds_a_text_that_needs_many_changes() -> None:
    words = [f"w{number}" for number in range(12)]
    victim = FakeVictim(
        {f"{word}a": [0, 1] for word in words},
        words=[*words, *(f"{word}b" for word in words)],
        bias=(9.5, 0),
    )
    job = make_job(" ".join(words), {word: [f"{word}a", f"{word}b"] for word in words})
    found, asked = search(victim, job, max_size=400)
    assert found is not None
    assert int((found == 1).sum()) == 10
    assert len(asked) < 400 < job.space.cardinality


def test_best_first_leaves_a_dead_end() -> None:
    """Greedy steps lead to "a1 b", which has no better neighbour.

    Only "a2 b2" fools the victim, and the texts on the way to it look worse than the original.
    """
    goal = {"a1 b": 3.0, "a2 b2": 9.0, "a2 b": -1.0, "a b2": -1.0}
    victim = FakeVictim({}, words=["a", "a1", "a2", "b", "b2"], bias=(4, 0))
    names = {number: word for word, number in victim.table.numbers.items()}
    victim.twist = lambda ids, logits: (
        logits
        + np.array(
            [[0, goal.get(" ".join(names.get(n, "") for n in row[1:3]), 0)] for row in ids.tolist()]
        )
    )
    found, _ = search(victim, make_job("a b", {"a": ["a1", "a2"], "b": ["b2"]}), max_size=5)
    assert found is not None
    assert found.tolist() == [2, 1]


def test_a_second_search_queries_the_same_texts() -> None:
    assert search(additive(4.5), JOB)[1] == search(additive(4.5), JOB)[1]


@pytest.mark.parametrize("sizes", [(7, 7, 6, 6), (2,) * 14])
def test_the_texts_of_a_space_are_never_in_memory_together(sizes: tuple[int, ...]) -> None:
    """All 16,384 texts of the larger space would take more than half a megabyte."""
    import importlib

    module = importlib.import_module("robench.attacks.exhaustive")
    space = make_job(
        " ".join(f"w{i}" for i in range(len(sizes))),
        {f"w{i}": [f"v{i}{k}" for k in range(size - 1)] for i, size in enumerate(sizes)},
    ).space
    ranked = [(number, np.arange(size)) for number, size in enumerate(sizes)]
    tracemalloc.start()
    seen = sum(len(block) for block in module._all_texts(space, ranked))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == space.cardinality
    assert peak < 100_000
