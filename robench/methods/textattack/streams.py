"""One state of Python's and NumPy's global random generators for each search of TextAttack.

TextAttack draws from the global generators. Many searches run at once, so each of them needs a
state of its own, or its result would depend on the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def global_seeds(rng: np.random.Generator) -> tuple[int, int]:
    """Draw the seeds for ``random.seed`` and ``numpy.random.seed`` from an example's stream.

    TextAttack on its own, with these two seeds, finds the same text for the example.
    """
    first, second = rng.integers(2**32, size=2).tolist()
    return first, second


class GlobalStreams:
    """The global generators of one search; no other code sees their states.

    Args:
        first: the seed of Python's generator.
        second: the seed of NumPy's generator.
    """

    def __init__(self, first: int, second: int) -> None:
        self._waiting: tuple[Any, Any] = (
            random.Random(first).getstate(),
            np.random.RandomState(second).get_state(),
        )

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Exchange the states in use for those of this object, and change them back at the end.

        A nested call exchanges them the other way round: while a search waits for its answers,
        the generators are as they were before the search.
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        in_use = (random.getstate(), np.random.get_state())
        random.setstate(self._waiting[0])
        np.random.set_state(self._waiting[1])
        self._waiting = in_use
