"""The settings of a search as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from robench._base.environment import Precision


@dataclass(frozen=True)
class SearchSettings:
    """How the examples of one victim are attacked; the same value from the command to the engine.

    Attributes:
        seed: an example's random stream is a function of this seed, the attack's name and the
            example's id, and of nothing else.
        budget: queries (rows of token ids) that one search may make, repeats included;
            None sets no bound. If a query exceeds the budget, its first rows are still
            computed, and a text among them that fools the victim counts.
        precision: of the searches' forward passes. In bf16 nothing is proved, and doubtful
            answers are computed again in fp32 (``robench.search.precision``). Verdicts are
            always in fp32.
        device: a torch device string, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        workers: processes that search at the same time; None takes as many as suit the device,
            the amount of work and the free memory.
        temperature: the logits that a search sees are divided by it (> 0). Clean predictions and
            verdicts are those of the victim's own logits, and no class changes.
        example_seconds: own seconds (``Trial.seconds``) after which the search of an example is
            ended as an ERROR; None sets no limit.
    """

    seed: int = 0
    budget: int | None = None
    precision: Precision = "fp32"
    device: str = "cpu"
    workers: int | None = None
    temperature: float = 1.0
    example_seconds: float | None = None
