"""Language models for child processes, which import them by this module's name."""

from __future__ import annotations

from collections.abc import Sequence

from damaged_kinds import LengthScorer

from robench.text.scorer import Ratios, Scorer, ScoringRequest


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
