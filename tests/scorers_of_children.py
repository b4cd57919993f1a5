"""Language models for child processes, which import them by this module's name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robench.text.scorer import Ratios, Scorer, ScoringRequest


class LengthScorer(Scorer):
    """A language model for which longer words are less likely."""

    identity = "length"

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        return [
            np.array([-0.1 * len(word) for word in request.substitutes], np.float32)
            for request in requests
        ]


class OtherScorer(LengthScorer):
    """Another language model."""

    identity = "other"


def refuse() -> Scorer:
    """Fail to load."""
    raise OSError("no room\nfor a model")


class Ending(LengthScorer):
    """A language model that ends its process at the first text."""

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        raise SystemExit(1)
