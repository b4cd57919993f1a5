"""The texts, words and victims' logits that the checks of attacks share."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.search.jobs import Job
from robench.testing.victims import make_job

WORDS = [f"w{number}" for number in range(30)]
SUBSTITUTES = {word: [f"{word}a", f"{word}b"] for word in WORDS}
VOCABULARY = [
    *WORDS,
    *(substitute for pair in SUBSTITUTES.values() for substitute in pair),
    "trigger",
]
BUDGET = 600
"""Queries an example in the checks that compare runs; it keeps them short."""


def trigger_jobs(count: int, words: int = 20, **others: Any) -> list[Job]:
    """Make texts in which exactly one word, at any place, can become the trigger."""
    rng = random.Random(1)
    texts = [rng.sample(WORDS, words) for _ in range(count)]
    jobs = []
    for number, text in enumerate(texts):
        substitutes = SUBSTITUTES | {rng.choice(text): ["trigger"]}
        jobs.append(make_job(" ".join(text), substitutes, number=number, **others))
    return jobs


def scaled(
    factor: float,
) -> Callable[[NDArray[np.int32], NDArray[np.float32]], NDArray[np.float32]]:
    """Make a ``FakeVictim.twist`` that multiplies the logits."""
    return lambda ids, logits: logits * np.float32(factor)
