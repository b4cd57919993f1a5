"""The memory that answers a search's repeated queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class AnswerMemory:
    """Logits by key, in one growing table, so that a thousand repeats cost one gather."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._logits: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._stored = 0

    def __len__(self) -> int:
        return len(self._places)

    def places(self, keys: list[bytes]) -> tuple[NDArray[np.intp], list[int]]:
        """Reserve a place for every new key.

        Returns:
            Where the answer of each key is or will be, and the indices of the new keys in
            ``keys`` (the first occurrence of each).
        """
        known = self._places
        # The usual case of a query with many rows: all are new. Then nothing is done row by row.
        if len(keys) > 1 and known.keys().isdisjoint(keys) and len(set(keys)) == len(keys):
            begin, end = len(known), len(known) + len(keys)
            known.update(zip(keys, range(begin, end), strict=True))
            return np.arange(begin, end, dtype=np.intp), list(range(len(keys)))
        places, fresh = [], []
        for number, key in enumerate(keys):
            place = known.get(key)
            if place is None:
                place = known[key] = len(known)
                fresh.append(number)
            places.append(place)
        return np.array(places, dtype=np.intp), fresh

    def store(self, logits: NDArray[np.float32]) -> None:
        """Keep the answers of the newest ``len(logits)`` keys."""
        end = len(self._places)
        # Doubling the table keeps the cost of growing it in proportion to its size.
        if end > len(self._logits):
            grown = np.empty((max(end, 2 * len(self._logits)), logits.shape[1]), dtype=np.float32)
            if len(self._logits):
                grown[: len(self._logits)] = self._logits
            self._logits = grown
        self._logits[end - len(logits) : end] = logits
        self._stored = end

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return a copy of the answers at ``places``, ``(n,)`` -> ``(n, classes)``."""
        return self._logits[places]

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        """Return the answer ``(classes,)`` of a key; None where it has no answer."""
        place = self._places.get(key, self._stored)
        return self._logits[place] if place < self._stored else None
