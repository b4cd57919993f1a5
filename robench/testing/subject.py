"""The attack under test and the ways in which the checks run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.plugins.options import build_options
from robench.search.attack import Attack, Trial, Verdict
from robench.search.conversation import search_space
from robench.search.engine import example_rng, run
from robench.search.jobs import Job
from robench.search.oracle import PooledOracle
from robench.search.registry import ATTACKS
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import Candidates, SearchVictim
from robench.search.whitebox import PooledWhiteBoxOracle
from robench.text.space import Choice


@dataclass(frozen=True)
class Subject:
    """An attack and its claims.

    Attributes:
        name: the registered name.
        cls: the registered class.
        options: options of the attack, by name; the others have their defaults.
        least_found: share of the planted trigger words that it must find. It is 1 for every
            systematic search, and less only for one that draws a few texts at random.
        scale_free: whether multiplied logits must give the same trials. This holds for an attack
            that compares margins or labels only.
        evolves: whether it makes new texts from those that do best.
    """

    name: str
    cls: type[Attack]
    options: dict[str, Any] = field(default_factory=dict)
    least_found: float = 1.0
    scale_free: bool = False
    evolves: bool = False

    @classmethod
    def of(cls, attack: str | type[Attack], **claims: Any) -> Subject:
        """Make the subject of a registered name or class."""
        if isinstance(attack, str):
            return cls(attack, ATTACKS.get(attack), **claims)
        return cls(ATTACKS.name_of(attack), attack, **claims)

    def make(self) -> Attack:
        """Make a new object of the attack."""
        return self.cls(build_options(self.cls.Options, self.options, f"attack '{self.name}'"))

    def trials(
        self,
        victim: SearchVictim,
        jobs: Sequence[Job],
        *,
        budget: int | None = None,
        precision: Precision = "fp32",
        **engine: Any,
    ) -> dict[str, Trial]:
        """Attack ``jobs`` through the core; return example id -> trial without its time."""
        settings = SearchSettings(budget=budget, precision=precision)
        trials = run(victim, self.make(), self.name, jobs, settings, **engine)
        found = {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in trials}
        self.require(
            sorted(found) == sorted(job.example.id for job in jobs),
            f"{len(jobs)} examples gave {len(found)} trials",
        )
        broken = next((trial for trial in found.values() if trial.verdict == Verdict.ERROR), None)
        self.require(broken is None, f"it broke: {broken and broken.problem}")
        return found

    def alone(self, victim: SearchVictim, job: Job, log: list[NDArray[np.int32]]) -> Choice | None:
        """Return what one search returns when it runs without the core.

        The core would find a success that the search overlooks.

        Args:
            log: the rows of each query that were not queried before are appended to it.
        """

        def ask(
            candidates: Candidates, ids: NDArray[np.int32], lengths: NDArray[np.int32]
        ) -> NDArray[np.float32]:
            log.append(ids)
            return victim.logits(ids, lengths)

        kind = (
            partial(PooledWhiteBoxOracle, victim)
            if self.cls.access == "gradients"
            else PooledOracle
        )
        candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
        longest = victim.encoder_fields.max_tokens
        oracle = kind(
            job.space, candidates, job.example.label, ask, None, aligned=True, longest=longest
        )
        ending = search_space(
            self.make(),
            job.space,
            oracle,
            self.cls.access,
            job.example.label,
            example_rng(0, self.name, job.example.id),
        )
        self.require(ending.reason != "failed", f"it broke: {ending.problem}")
        claim = ending.claim
        self.require(claim is None or claim.problem is None, f"{claim and claim.problem}")
        return None if claim is None else np.asarray(claim.value)

    def require(self, condition: bool, complaint: str) -> None:
        """Raise AssertionError with a sentence unless ``condition`` holds."""
        if not condition:
            raise AssertionError(f"attack '{self.name}': {complaint}")


def fooled(trials: dict[str, Trial]) -> set[str]:
    """Return the ids of the examples on which the victim was fooled."""
    return {trial.id for trial in trials.values() if trial.verdict == Verdict.FOOLED}
