"""The one question that needs gradients: which mixture of words would mislead the victim most? Only attacks with access ``"gradients"`` may put it.

The core asks it in terms of options and the victim answers in terms of tokens. Only an option that changes a single token, and leaves every other where
it is, can be mixed in: with one token a word these are all; elsewhere options of several tokens stay outside the hull.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import UsageError
from robench.methods.moves import single_substitutions, with_each_change
from robench.search.attack import Attack
from robench.search.oracle import PooledOracle
from robench.search.space import Oracle, SearchSpace
from robench.search.victim_protocol import Candidates, SearchVictim


@dataclass(frozen=True)
class HullQuery:
    """Maximise the cross-entropy of ``label`` over the convex hull of the slots of one text (ASCC, Dong et al. ICLR 2021).

    Attributes:
        ids, types: ``(tokens,)`` of the original text.
        slots: ``(tokens, slots)`` token ids that may be mixed; slot 0 is the text's own token, unused slots repeat it.
        allowed: ``(tokens, slots)``; slot 0 always is.
        steps, learning_rate: of the ascent on the logits of the mixture weights.
        seed: of the initial logits.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    slots: NDArray[np.int32]
    allowed: NDArray[np.bool_]
    label: int
    steps: int
    learning_rate: float
    seed: int


@runtime_checkable
class WhiteBoxVictim(Protocol):
    """A victim that can be asked for gradients."""

    def hull(self, question: HullQuery) -> NDArray[np.float32]:
        """The weights found, ``(tokens, slots)``: each row on the simplex, 0 where not allowed. In fp32, a function of the question alone."""


@runtime_checkable
class WhiteBoxOracle(Oracle, Protocol):
    """What an attack with access ``"gradients"`` may ask besides."""

    def hull(
        self, rng: np.random.Generator, steps: int, learning_rate: float
    ) -> NDArray[np.float32]:
        """Weights of every option, ``(words, most options)``, in the mixture that misleads the victim most; charged with ``steps`` rows.

        Each word's sum to 1; an option that the victim cannot tell from one before it, or that cannot be mixed in, has none.
        """


def white_box(oracle: Oracle) -> WhiteBoxOracle:
    """``oracle`` with its question for gradients; raises TypeError where it has none, because the attack did not declare that it wants them."""
    if not isinstance(oracle, WhiteBoxOracle):
        raise TypeError(
            f"{type(oracle).__name__} gives no gradients: the attack must declare access = 'gradients'"
        )
    return oracle


def check_access(attack: Attack, name: str, victim: SearchVictim) -> None:
    """Raise UsageError where ``attack`` needs what ``victim`` does not give."""
    if attack.outside and attack.access != "probabilities":
        raise UsageError(
            f"Attack '{name}' is outside the surface and wants {attack.access}: such attacks are shown probabilities only."
        )
    if attack.access == "gradients" and not isinstance(victim, WhiteBoxVictim):
        raise UsageError(
            f"Attack '{name}' needs the victim's gradients, which {type(victim).__name__} does not give: choose another attack."
        )


class PooledWhiteBoxOracle(PooledOracle):
    """``WhiteBoxOracle`` for one example. A hull is found there and then, by itself, so that no answer depends on other searches."""

    def __init__(
        self,
        victim: SearchVictim,
        space: SearchSpace,
        candidates: Candidates,
        label: int,
        *rest: Any,
        **named: Any,
    ) -> None:
        super().__init__(space, candidates, label, *rest, **named)
        assert isinstance(victim, WhiteBoxVictim)  # see check_access
        self._victim = victim

    @cached_property
    def _slots(self) -> HullSlots:
        return hull_slots(self._space, self._candidates)

    def hull(
        self, rng: np.random.Generator, steps: int, learning_rate: float
    ) -> NDArray[np.float32]:
        """See ``WhiteBoxOracle``."""
        self.charge(steps)
        slots, seed = self._slots, int(rng.integers(2**63))
        question = HullQuery(
            slots.ids,
            slots.types,
            slots.tokens,
            slots.allowed,
            self._label,
            steps,
            learning_rate,
            seed,
        )
        return slots.by_option(np.asarray(self._victim.hull(question), dtype=np.float32))


@dataclass(frozen=True)
class HullSlots:
    """The options of a space as slots of the original text's tokens.

    Attributes:
        ids, types: ``(tokens,)``.
        tokens, allowed: ``(tokens, slots)``, see ``HullQuery``.
        columns: ``(words,)`` the token at which a word's options are mixed; -1 where there are none.
        numbers: ``(words, most options)`` the slot of each option; -1 where it has none of its own.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    tokens: NDArray[np.int32]
    allowed: NDArray[np.bool_]
    columns: NDArray[np.intp]
    numbers: NDArray[np.intp]

    def by_option(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(tokens, slots)`` -> ``(words, most options)``."""
        found = np.where(
            self.numbers >= 0, weights[self.columns[:, None], self.numbers], np.float32(0)
        )
        found[self.columns < 0, 0] = 1
        return np.asarray(found, dtype=np.float32)


def hull_slots(space: SearchSpace, candidates: Candidates) -> HullSlots:
    """Compare every single substitution with the original text, token by token."""
    (ids,), (length,) = candidates.encode(space.original()[None])
    columns = np.full(len(space.words), -1, dtype=np.intp)
    numbers = np.full((len(space.words), int(space.sizes.max(initial=1))), -1, dtype=np.intp)
    own: dict[int, list[int]] = {}  # the tokens of each column's slots
    positions, options = single_substitutions(space)
    rows, lengths = candidates.encode(with_each_change(space.original(), positions, options))
    for row, row_length, position, option in zip(
        rows, lengths.tolist(), positions.tolist(), options.tolist(), strict=True
    ):
        differing = (
            np.flatnonzero(row[:length] != ids[:length]) if row_length == length else np.empty(0)
        )
        if len(differing) != 1 or columns[position] not in (-1, differing[0]):
            continue
        column = columns[position] = int(differing[0])
        slots = own.setdefault(column, [int(ids[column])])
        if int(row[column]) not in slots:
            numbers[position, option] = len(slots)
            slots.append(int(row[column]))
    numbers[columns >= 0, 0] = 0
    tokens = np.repeat(ids[:length, None], max(map(len, own.values()), default=1), axis=1)
    allowed = np.zeros(tokens.shape, dtype=np.bool_)
    allowed[:, 0] = True
    for column, slots in own.items():
        tokens[column, : len(slots)], allowed[column, : len(slots)] = slots, True
    return HullSlots(ids[:length], candidates.types(int(length)), tokens, allowed, columns, numbers)
