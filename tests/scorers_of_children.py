"""Language models for child processes, which import them by this module's name."""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep
from zlib import crc32

import numpy as np

from robench.text.scorer import Ratios, Scorer, ScoringRequest


class HashedScorer(Scorer):
    """A language model whose scores differ from text to text, and from place to place."""

    identity = "hashed"

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        return [
            np.array([self._ratio(request, each) for each in request.substitutes], np.float32)
            for request in requests
        ]

    def _ratio(self, request: ScoringRequest, word: str) -> float:
        return -(crc32(f"{request.words} {request.position} {word}".encode()) % 1000) / 400


class OtherScorer(HashedScorer):
    """Another language model."""

    identity = "other"


def refuse() -> Scorer:
    """Fail to load."""
    raise OSError("no room\nfor a model")


class Ending(HashedScorer):
    """A language model that ends its process at the first text."""

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        raise SystemExit(1)


class Silent(HashedScorer):
    """A language model that never ends with its first text."""

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        sleep(100_000)
        return super().log_ratios(requests)


class Unreadable:
    """Content that another process cannot read."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return unread, ()


def unread() -> object:
    """Fail to read it."""
    raise MemoryError
