"""An attack of robench as a search method of TextAttack.

The search code is the same. TextAttack's goal function answers its queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textattack.goal_function_results import GoalFunctionResult, GoalFunctionResultStatus
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import SearchMethod
from textattack.shared import AttackedText

from robench._base.errors import RobenchError, UsageError
from robench.plugins.options import build_options
from robench.search.conversation import Ending, search_space
from robench.search.engine import example_rng
from robench.search.jobs import Job
from robench.search.judge import fields_with_choice
from robench.search.oracle import PooledOracle
from robench.search.registry import ATTACKS
from robench.search.texts import UNKNOWN_WORD
from robench.search.victim_protocol import Candidates
from robench.text.space import Choice, SearchSpace
from robench.textattack.texts import TextSurface, variant

LEFT_OUT = -1
"""Stands for the unknown token in a row of choices."""


class SurfaceSearch(SearchMethod):
    """Run a registered attack over the surface, with the random stream that the engine gives it.

    Args:
        attack: its name in the registry.
        constrained: whether the language-model constraint binds; unless given, the protocol and
            the attack decide.
        seed: of the run.
        options: of the attack.

    Raises:
        UsageError: no such attack or option, or an attack that needs gradients.
    """

    def __init__(
        self,
        attack: str,
        surface: TextSurface,
        *,
        constrained: bool | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        cls = ATTACKS.get(attack)
        if cls.outside:
            raise UsageError(f"Attack '{attack}' searches no surface: choose another attack.")
        if cls.access == "gradients":
            raise UsageError(
                f"Attack '{attack}' needs the victim's gradients, which a search of TextAttack is"
                " not given: choose another attack."
            )
        self.attack = cls(build_options(cls.Options, options or {}, f"attack '{attack}'"))
        self.name, self.surface, self.seed = attack, surface, seed
        self.constrained = (
            surface.always_constrained or cls.language_model if constrained is None else constrained
        )

    @property
    def is_black_box(self) -> bool:
        """True: the search asks for probabilities only."""
        return True

    def perform_search(self, initial_result: GoalFunctionResult) -> GoalFunctionResult:
        """Return a text that the goal function judges to fool the victim, else the nearest text."""
        if not isinstance(self.goal_function, UntargetedClassification):
            raise UsageError(
                "robench's searches look for any wrong class;"
                f" {type(self.goal_function).__name__} asks for something else."
            )
        original = initial_result.attacked_text
        job = self.surface.job(original, self.constrained)
        queries = _Queries(
            self.get_goal_results, original, job, self.surface.attackable, initial_result
        )
        label = int(self.goal_function.ground_truth_output)
        spent, allowed = self.goal_function.num_queries, self.goal_function.query_budget
        budget = None if allowed == float("inf") else int(allowed - spent)
        oracle = PooledOracle(
            job.space,
            Rows(job.space),
            label,
            queries.ask,
            budget,
            aligned=False,
            longest=len(job.space.words) + 1,
        )
        ending = search_space(
            self.attack,
            job.space,
            oracle,
            self.attack.access,
            label,
            example_rng(self.seed, self.name, job.example.id),
        )
        return queries.verdict([*_claimed(ending, queries), *oracle.successes])

    def extra_repr_keys(self) -> list[str]:
        """Return the attributes that TextAttack prints."""
        return ["name", "seed", "constrained"]


def _claimed(ending: Ending, queries: _Queries) -> list[Choice]:
    """Return the choice that the search returned, if it returned one.

    Raises:
        Exception: what the goal function raised.
        RobenchError: the search raised, or returned something else.
    """
    if queries.failure is not None:
        raise queries.failure
    claim = ending.claim
    problem = ending.problem if claim is None else claim.problem
    if problem is not None:
        raise RobenchError(f"The search failed on a text ({problem}).")
    return [] if claim is None else [np.asarray(claim.value)]


class Rows(Candidates):
    """Choices in place of token ids, because TextAttack asks about texts."""

    def __init__(self, space: SearchSpace) -> None:
        self._words = len(space.words)

    def encode(self, choices: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """See ``Candidates``; the ids are the choices themselves."""
        return choices.astype(np.int32), np.full(len(choices), self._words, dtype=np.int32)

    def encode_without(
        self, choice: Choice, positions: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """See ``Candidates``."""
        rows, lengths = self.encode(np.repeat(choice[None], len(positions), axis=0))
        rows[np.arange(len(positions)), positions] = LEFT_OUT
        return rows, lengths

    def types(self, length: int) -> NDArray[np.int8]:
        """See ``Candidates``; the token types are not used."""
        return np.zeros(length, dtype=np.int8)


class _Queries:
    """Queries of the goal function, with the texts that fooled the victim and the nearest one.

    Args:
        put: TextAttack's function that asks the goal function about texts.
        original: the original text.
        job: its job.
        attackable: the field whose words may be replaced.
        initial: the goal function's result for the original text.

    Attributes:
        failure: what the goal function raised; None if it did not.
    """

    def __init__(
        self,
        put: Callable[[list[AttackedText]], tuple[list[Any], bool]],
        original: AttackedText,
        job: Job,
        attackable: str,
        initial: GoalFunctionResult,
    ) -> None:
        self._put, self._original, self._job, self._attackable = put, original, job, attackable
        self._nearest = initial
        self.failure: Exception | None = None
        self._fooling: dict[bytes, GoalFunctionResult] = {}

    def ask(
        self, candidates: Candidates, rows: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """See ``robench.search.oracle.ForwardRows``.

        The logits are those of the goal function's probabilities, up to a constant.
        """
        try:
            results, _ = self._put([self._text(row) for row in rows])
        except Exception as error:
            self.failure = error
            raise
        for row, result in zip(rows, results, strict=True):
            if (row != LEFT_OUT).all():
                self._keep(row, result)
        probs = np.array([np.asarray(result.raw_output, dtype=np.float64) for result in results])
        return np.asarray(np.log(np.maximum(probs, np.finfo(np.float32).tiny)), dtype=np.float32)

    def verdict(self, claims: Sequence[Choice]) -> GoalFunctionResult:
        """Return the result of the first claim that is confirmed, else of the nearest text."""
        for choice in claims:
            if not self._job.space.contains(np.asarray(choice)):
                raise ValueError("the attack returned a choice outside the space")
            key = np.asarray(choice).astype(np.int32).tobytes()
            if key not in self._fooling:
                results, _ = self._put([self._text(np.asarray(choice))])
                for result in results:
                    self._keep(np.asarray(choice), result)
            if key in self._fooling:
                return self._fooling[key]
        return self._nearest

    def _keep(self, row: NDArray[Any], result: GoalFunctionResult) -> None:
        if result.goal_status == GoalFunctionResultStatus.SUCCEEDED and row.any():
            self._fooling[row.astype(np.int32).tobytes()] = result
        still_searching = result.goal_status == GoalFunctionResultStatus.SEARCHING
        if still_searching and result.score > self._nearest.score:
            self._nearest = result

    def _text(self, row: NDArray[Any]) -> AttackedText:
        left_out = np.flatnonzero(row == LEFT_OUT).tolist()
        choice = np.where(row == LEFT_OUT, 0, row).astype(np.int16)
        if not choice.any() and not left_out:
            return self._original
        unknown = dict.fromkeys(left_out, UNKNOWN_WORD)
        fields = fields_with_choice(self._job, self._attackable, choice, unknown)
        return variant(self._original, fields)
