"""A job and an oracle for tests (pytest puts tests/ on the path)."""

from __future__ import annotations

from itertools import product

import numpy as np
from fake_victims import FakeVictim, make_job

from robench.search.jobs import Job
from robench.search.oracle import (
    PooledOracle,
)

JOB = make_job("a b c", {"a": ["a1", "a2"], "c": ["c1"]})
WEIGHTS = {"a": [1, 0], "a1": [0, 2], "a2": [0, 1], "b": [1, 0], "c": [0, 0], "c1": [0, 3]}


def make_oracle(
    victim: FakeVictim, job: Job = JOB, budget: int | None = None, clean: list[float] | None = None
) -> tuple[PooledOracle, list[int]]:
    """Make an oracle that asks the victim at once.

    Args:
        clean: the original text's logits, if they are known.

    Returns:
        The oracle, and a list that receives the size of every forward pass.
    """
    sizes: list[int] = []
    candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)

    def ask(candidates: object, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        sizes.append(len(ids))
        return victim.logits(ids, lengths)

    aligned = victim.table.mode == "word"
    known = None if clean is None else np.array(clean, dtype=np.float32)
    longest = victim.encoder_fields.max_tokens
    return PooledOracle(
        job.space,
        candidates,
        job.example.label,
        ask,
        budget,
        aligned=aligned,
        longest=longest,
        clean=known,
    ), sizes


def choices(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int16)


def every_choice(job: Job) -> np.ndarray:
    return np.array(
        list(product(*(range(size) for size in job.space.sizes.tolist()))), dtype=np.int16
    )
