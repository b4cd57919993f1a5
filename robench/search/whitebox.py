"""The queries that need gradients.

Which mixture of words misleads the victim most, and how steep is its margin at each word? Only
attacks with access ``"gradients"`` may ask. The core asks in terms of words and options, and the
victim answers in terms of tokens.

An option can be mixed in only if it changes a single token and leaves all others in place. With
one token per word this holds for all options. Otherwise options of several tokens stay outside the
hull.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Protocol, cast, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import UsageError
from robench.models.gradient_query import GradientQuery
from robench.models.hull_query import HullObjective, HullQuery
from robench.search.access import Access
from robench.search.attack import Attack
from robench.search.moves import single_substitutions, with_each_change
from robench.search.oracle import PooledOracle
from robench.search.oracle_interface import Oracle
from robench.search.victim_protocol import Candidates, SearchVictim
from robench.text.space import Choice, SearchSpace

MAX_STEPS = 1_000_000
"""Most steps of one ascent."""


@runtime_checkable
class WhiteBoxVictim(Protocol):
    """A victim that answers queries that need its gradients."""

    def hull(self, query: HullQuery) -> NDArray[np.float32]:
        """Return the mixture weights found, ``(tokens, slots)``.

        Each row lies on the simplex and is 0 where not allowed. The answer is computed in fp32
        and depends on the query only.
        """

    def gradient(self, query: GradientQuery) -> NDArray[np.float32]:
        """Return the gradient of the margin at the word embeddings, ``(tokens, width)``.

        The answer is computed in fp32 and depends on the query only.
        """


class PlacedWords(Protocol):
    """Candidates that know which tokens a word has."""

    def spans(self, choice: Choice) -> NDArray[np.intp]:
        """Return the first token of each word and the one after its last, ``(words, 2)``.

        Both are equal for a word outside the window.
        """


@runtime_checkable
class WhiteBoxOracle(Oracle, Protocol):
    """The further queries that an attack with access ``"gradients"`` may make."""

    def hull(
        self,
        rng: np.random.Generator,
        steps: int,
        learning_rate: float,
        objective: HullObjective = "margin",
    ) -> NDArray[np.float32]:
        """Return each option's weight in the mixture that misleads the victim most.

        The budget is charged with ``steps`` rows. The weights of each word sum to 1. An option
        has weight 0 if it cannot be mixed in, or if the victim cannot tell it from an earlier
        option.

        Returns:
            ``(words, most options)``.
        """

    def gradient_norms(self, choice: Choice) -> NDArray[np.float64]:
        """Return how steep the margin of the label is at each word of ``choice``, ``(words,)``.

        It is the sum of the magnitudes (L1 norm) of the mean gradient over the word's tokens. The
        gradient is taken at the word embeddings. It is 0 for a word outside the window. The budget
        is charged with one row.
        """


def white_box(oracle: Oracle) -> WhiteBoxOracle:
    """Return ``oracle`` as one that answers ``hull`` and ``gradient_norms``.

    Raises:
        TypeError: it does not, because the attack did not declare that it needs gradients.
    """
    if not isinstance(oracle, WhiteBoxOracle):
        raise TypeError(
            f"{type(oracle).__name__} gives no gradients: "
            "the attack must declare access = 'gradients'"
        )
    return oracle


def declared_access(attack: Attack, name: str) -> Access:
    """Return what an attack declares that it needs to see.

    Raises:
        UsageError: it declares something else.
    """
    for access in get_args(Access):
        if attack.access == access:
            return access  # type: ignore[no-any-return]
    known = ", ".join(get_args(Access))
    raise UsageError(f"Attack '{name}' declares an access that does not exist: use one of {known}.")


def check_access(attack: Attack, name: str, victim: SearchVictim) -> None:
    """Raise UsageError if ``attack`` needs access that ``victim`` does not give."""
    if attack.outside and attack.access != "probabilities":
        raise UsageError(
            f"Attack '{name}' is outside the surface and needs {attack.access}: "
            "such attacks see probabilities only."
        )
    if attack.access == "gradients" and not isinstance(victim, WhiteBoxVictim):
        raise UsageError(
            f"Attack '{name}' needs the victim's gradients, which robench has only for victims "
            "that it trained itself: choose another attack."
        )


class PooledWhiteBoxOracle(PooledOracle):
    """``WhiteBoxOracle`` for one example.

    Queries with gradients are not pooled: each is answered at once and alone, so that no answer
    depends on other searches.
    """

    def __init__(
        self,
        victim: SearchVictim,
        space: SearchSpace,
        candidates: Candidates,
        label: int,
        *rest: Any,
        temperature: float = 1.0,
        **named: Any,
    ) -> None:
        super().__init__(space, candidates, label, *rest, **named)
        self._temperature = temperature
        assert isinstance(victim, WhiteBoxVictim)  # see check_access
        self._victim = victim

    @cached_property
    def _slots(self) -> HullSlots:
        return hull_slots(self._space, self._candidates)

    def hull(
        self,
        rng: np.random.Generator,
        steps: int,
        learning_rate: float,
        objective: HullObjective = "margin",
    ) -> NDArray[np.float32]:
        """Return the options' weights; see ``WhiteBoxOracle``."""
        return self.hull_from(int(rng.integers(2**63)), steps, learning_rate, objective)

    def hull_from(
        self, seed: int, steps: int, learning_rate: float, objective: HullObjective
    ) -> NDArray[np.float32]:
        """Return the options' weights, given the seed that ``hull`` draws.

        Raises:
            ValueError: the steps, the learning rate or the objective make no sense.
        """
        if not 1 <= steps <= MAX_STEPS:
            raise ValueError(f"an ascent has 1 to {MAX_STEPS:,} steps, got {steps}")
        if not (isfinite(learning_rate) and learning_rate > 0):
            raise ValueError(f"a learning rate is a positive number, got {learning_rate}")
        known = get_args(HullObjective)
        if objective not in known:
            raise ValueError(f"an objective is {' or '.join(known)}, got {objective!r:.80}")
        self.charge(steps)
        slots = self._slots
        query = HullQuery(
            ids=slots.ids,
            types=slots.types,
            slots=slots.tokens,
            allowed=slots.allowed,
            label=self._label,
            steps=steps,
            learning_rate=learning_rate,
            seed=seed,
            objective=objective,
            temperature=self._temperature,
        )
        return slots.by_option(np.asarray(self._victim.hull(query), dtype=np.float32))

    def gradient_norms(self, choice: Choice) -> NDArray[np.float64]:
        """Return the steepness at each word; see ``WhiteBoxOracle``.

        Raises:
            ValueError: the choice lies outside the space.
        """
        choice = self._checked(np.asarray(choice)[None])[0]
        self.charge(1)
        (ids,), (length,) = self._candidates.encode(choice[None])
        types = self._candidates.types(int(length))
        query = GradientQuery(ids[:length], types, self._label)
        gradient = np.asarray(self._victim.gradient(query), dtype=np.float64)
        placed = cast(PlacedWords, self._candidates)  # see check_access
        norms = np.zeros(len(self._space.words))
        for word, (first, end) in enumerate(placed.spans(choice).tolist()):
            if end > first:
                norms[word] = np.abs(gradient[first:end].mean(axis=0)).sum()
        return norms


@dataclass(frozen=True)
class HullSlots:
    """The options of a space as slots of the original text's tokens.

    Attributes:
        ids, types: ``(tokens,)``.
        tokens, allowed: ``(tokens, slots)``, see ``HullQuery``.
        columns: ``(words,)`` the token at which a word's options are mixed; -1 where there are
            none.
        numbers: ``(words, most options)`` the slot of each option; -1 where it has no own slot.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    tokens: NDArray[np.int32]
    allowed: NDArray[np.bool_]
    columns: NDArray[np.intp]
    numbers: NDArray[np.intp]

    def by_option(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn weights of slots ``(tokens, slots)`` into weights of options.

        Returns:
            ``(words, most options)``.
        """
        found = np.where(
            self.numbers >= 0, weights[self.columns[:, None], self.numbers], np.float32(0)
        )
        # A word that is not mixed keeps its original option.
        found[self.columns < 0, 0] = 1
        return np.asarray(found, dtype=np.float32)


def hull_slots(space: SearchSpace, candidates: Candidates) -> HullSlots:
    """Compare every single substitution with the original text, token by token."""
    (ids,), (length,) = candidates.encode(space.original()[None])
    columns = np.full(len(space.words), -1, dtype=np.intp)
    numbers = np.full((len(space.words), int(space.sizes.max(initial=1))), -1, dtype=np.intp)
    # The token ids in the slots of each column, the text's own token first.
    slots_by_column: dict[int, list[int]] = {}
    positions, options = single_substitutions(space)
    rows, lengths = candidates.encode(with_each_change(space.original(), positions, options))
    for row, row_length, position, option in zip(
        rows, lengths.tolist(), positions.tolist(), options.tolist(), strict=True
    ):
        # An option that moves other tokens, or changes several, cannot be mixed in.
        if row_length != length:
            continue
        differing = np.flatnonzero(row[:length] != ids[:length])
        if len(differing) != 1 or columns[position] not in (-1, differing[0]):
            continue
        column = columns[position] = int(differing[0])
        slots = slots_by_column.setdefault(column, [int(ids[column])])
        # Options with the same token are the same to the victim, so the first one gets the slot.
        if int(row[column]) not in slots:
            numbers[position, option] = len(slots)
            slots.append(int(row[column]))
    numbers[columns >= 0, 0] = 0
    most = max(map(len, slots_by_column.values()), default=1)
    tokens = np.repeat(ids[:length, None], most, axis=1)
    allowed = np.zeros(tokens.shape, dtype=np.bool_)
    allowed[:, 0] = True
    for column, slots in slots_by_column.items():
        tokens[column, : len(slots)] = slots
        allowed[column, : len(slots)] = True
    types = candidates.types(int(length))
    return HullSlots(ids[:length], types, tokens, allowed, columns, numbers)
