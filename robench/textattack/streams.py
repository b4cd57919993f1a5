"""TextAttack draws from Python's and NumPy's global generators; here each search has a state of its own for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def seeds_of(rng: np.random.Generator) -> tuple[int, int]:
    """What ``random.seed`` and ``numpy.random.seed`` are given for an example whose stream is ``rng``: plain TextAttack with these finds the same."""
    first, second = rng.integers(2**32, size=2).tolist()
    return first, second


class Streams:
    """Each search has the global generators to itself while it runs, and nobody else's are touched."""

    def __init__(self, first: int, second: int) -> None:
        self._waiting: tuple[Any, Any] = (
            random.Random(first).getstate(),
            np.random.RandomState(second).get_state(),
        )

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The states that wait here in exchange for those that are in use; back afterwards, and nested in itself the other way round."""
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
