"""The oracle that a search talks to: checks its questions, answers repeats from memory, counts, and parks the search until the pool has the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import softmax
from robench.search.space import BudgetSpent, Choice, SearchSpace
from robench.search.victim_protocol import Candidates

ForwardRows = Callable[[Candidates, NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""Puts rows (ids, lengths) to the pool and comes back with their logits; the engine's, it switches greenlets."""

EncodeRows = Callable[[list[int]], tuple[Candidates, NDArray[np.int32], NDArray[np.int32]]]
"""Candidates, ids and lengths of those of a question's rows that are new."""

InspectNew = Callable[[list[int], NDArray[np.float32]], None]
"""Told which of a question's rows are new, and their logits."""


class SpaceExhausted(BaseException):
    """Every text of the space has been answered and none is misclassified: the search is over. Not an Exception, so no search swallows it by mistake."""


class StopIgnored(BaseException):
    """A search went on asking long after it had been told that it was over. Not an Exception: it has swallowed those.

    Attributes:
        reason: what it had been told.
    """

    def __init__(self, reason: BaseException) -> None:
        super().__init__(f"the search went on asking after {type(reason).__name__}: {reason}")
        self.reason = reason


MAX_SUCCESSES = 8
"""Texts that fool the victim of which the oracle takes note; the verdict may not believe the first."""
MAX_REFUSALS = 100
"""Questions refused for one and the same reason before the search is ended from outside."""


class AnswerMemory:
    """Answers by key: a growing table of logits, so that a thousand repeats cost one gather."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._logits: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._stored = 0

    def __len__(self) -> int:
        return len(self._places)

    def places(self, keys: list[bytes]) -> tuple[NDArray[np.intp], list[int]]:
        """Where the answer of each key is or will be, and which of ``keys`` are new (the first of each)."""
        known, places, fresh = self._places, [], []
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
        if end > len(self._logits):
            grown = np.empty((max(end, 2 * len(self._logits)), logits.shape[1]), dtype=np.float32)
            if len(self._logits):
                grown[: len(self._logits)] = self._logits
            self._logits = grown
        self._logits[end - len(logits) : end] = logits
        self._stored = end

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """``(n,)`` -> ``(n, classes)``, a copy."""
        return self._logits[places]

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        """``(classes,)``; None where the key has no answer."""
        place = self._places.get(key, self._stored)
        return self._logits[place] if place < self._stored else None


class MeteredOracle:
    """What every oracle does for one example: answers repeats from memory, counts, keeps the budget.

    Attributes:
        budget: rows that may be asked about; None for no bound.
        asked: rows put by the search, repeats included: what the budget is charged with.
        forwarded: distinct rows among them, which had to go through the victim.
        successes: the first changed texts of the space, ``MAX_SUCCESSES`` at most, that were answered and misclassified, whatever the search made of them. No
            two are the same to the victim.
        exhausted: whether every text of the space was answered and none misclassified.

    Args:
        ask: puts new rows to the pool.
    """

    def __init__(self, ask: ForwardRows, budget: int | None) -> None:
        self._ask, self.budget = ask, budget
        self._outside = AnswerMemory()
        self._over: BaseException | None = None
        self._refused = 0
        self.asked = self.forwarded = 0
        self.successes: list[Choice] = []
        self.exhausted = False

    def charge(self, rows: int) -> None:
        """Count rows that do not go through the pool; raises BudgetSpent where they are more than the budget leaves."""
        if self._over is None and self.budget is not None and self.asked + rows > self.budget:
            self._over = BudgetSpent(
                f"{rows} more rows after {self.asked} would exceed the budget of {self.budget}"
            )
        if self._over is not None:
            self._refuse(self._over)
        self.asked += rows
        self.forwarded += rows

    def close(self) -> None:
        """Let the answers go now, not when the garbage collector finds them (an exception that was raised here leads back here)."""
        self._outside = AnswerMemory()
        self._over = BudgetSpent("the search has ended")

    def _answer(
        self,
        memory: AnswerMemory,
        keys: list[bytes],
        encode: EncodeRows,
        look: InspectNew | None = None,
    ) -> NDArray[np.float32]:
        """Answers by key; ``look`` is shown those that are new.

        The first rows of a question that exceeds the budget are asked nevertheless: what they bring to light counts (``successes``, ``exhausted``).
        """
        if not keys:
            raise ValueError("a question without rows")
        if self._over is not None:
            self._refuse(self._over)
        affordable = len(keys) if self.budget is None else min(len(keys), self.budget - self.asked)
        self.asked += affordable
        self._recall(memory, keys[:affordable])
        places, fresh = memory.places(keys[:affordable])
        if fresh:
            logits = self._forward(memory, encode, fresh)
            if look is not None:
                look(fresh, logits)
        if affordable < len(keys):
            self._over = BudgetSpent(
                f"the budget of {self.budget} rows was spent {affordable} rows into a question of {len(keys)}"
            )
            raise self._over
        return memory.read(places)

    def _recall(self, memory: AnswerMemory, keys: list[bytes]) -> None:
        """Called before rows of a question are looked up: the last occasion to put into ``memory`` what is known already."""

    def _refuse(self, reason: BaseException) -> NoReturn:
        """Say again why there are no more answers; a search that will not hear it is ended."""
        self._refused += 1
        raise StopIgnored(reason) if self._refused > MAX_REFUSALS else reason

    def _forward(
        self, memory: AnswerMemory, encode: EncodeRows, fresh: list[int]
    ) -> NDArray[np.float32]:
        try:
            logits = self._ask(*encode(fresh))
        except (
            BaseException
        ) as error:  # the memory has keys without answers from here on, so the search cannot go on
            self._over = error
            raise
        memory.store(logits)
        self.forwarded += len(logits)
        return logits


class PooledOracle(MeteredOracle):
    """``robench.Oracle`` for one example.

    Args:
        label: the true class, for ``successes`` and ``exhausted`` only.
        aligned, longest: see ``option_classes``.
        clean: logits ``(classes,)`` of the original text where the victim has been asked about that very row, so that it is not asked again.
    """

    def __init__(
        self,
        space: SearchSpace,
        candidates: Candidates,
        label: int,
        ask: ForwardRows,
        budget: int | None,
        *,
        aligned: bool,
        longest: int,
        clean: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(ask, budget)
        self._space, self._candidates, self._label = space, candidates, label
        self._aligned, self._longest = aligned, longest
        self._inside = AnswerMemory()
        self._clean = clean
        self._uncounted: bytes | None = None
        self._fooled = False

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """See ``robench.Oracle``; raises ValueError where a choice lies outside the space."""
        choices = self._checked(choices)
        keys = self._keys(choices)
        return self._answer(
            self._inside,
            keys,
            lambda fresh: (self._candidates, *self._candidates.encode(choices[fresh])),
            lambda fresh, logits: self._look(choices[fresh], logits),
        )

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """See ``robench.Oracle``."""
        return softmax(self.logits(choices))

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """See ``robench.Oracle``; raises ValueError where a position is not visible."""
        choice = self._checked(np.asarray(choice)[None])[0]
        positions = np.asarray(positions, dtype=np.intp)
        if positions.size and not (positions.min() >= 0 and positions.max() < self._space.visible):
            raise ValueError(
                f"a position to be left out is beyond the {self._space.visible} visible words"
            )
        key = self._keys(choice[None])[0]
        keys = [key + position.to_bytes(4, "little") for position in positions.tolist()]
        return softmax(
            self._answer(
                self._outside,
                keys,
                lambda fresh: (
                    self._candidates,
                    *self._candidates.encode_without(choice, positions[fresh]),
                ),
            )
        )

    def prediction(self, choice: Choice) -> int | None:
        """The class of a choice of the space that was asked about; None for any other."""
        logits = self._inside.get(self._keys(choice[None])[0])
        return None if logits is None else int(logits.argmax())

    def close(self) -> None:
        """See ``MeteredOracle``."""
        super().close()
        self._inside = AnswerMemory()

    def _recall(self, memory: AnswerMemory, keys: list[bytes]) -> None:
        """Take the original text's answer as known; it counts as forwarded when the search asks for it, since it was."""
        if memory is not self._inside:
            return
        clean, original = self._clean, self._space.original()[None]
        if clean is not None:
            self._clean = None
            (self._uncounted,) = own = self._keys(original)
            memory.places(own)
            memory.store(clean[None])
        if self._uncounted in keys:
            self.forwarded, self._uncounted = self.forwarded + 1, None
        if clean is not None:
            self._look(original, clean[None])

    def _look(self, choices: NDArray[np.int16], logits: NDArray[np.float32]) -> None:
        """What new answers inside the space mean, whether or not the search will look at them."""
        wrong = logits.argmax(axis=1) != self._label
        self._fooled = self._fooled or bool(wrong.any())
        changed = np.flatnonzero(wrong & choices.any(axis=1))
        self.successes += [
            choices[row].copy() for row in changed[: MAX_SUCCESSES - len(self.successes)].tolist()
        ]
        if not self._fooled and len(self._inside) == self.classes.distinct:
            self.exhausted, self._over = True, SpaceExhausted()
            raise self._over

    def _checked(self, choices: NDArray[np.int16]) -> NDArray[np.int16]:
        choices = np.asarray(choices)
        if (
            choices.ndim != 2
            or choices.shape[1] != len(self._space.words)
            or choices.dtype.kind not in "iu"
        ):
            raise ValueError(
                f"choices must be integers of shape (batch, {len(self._space.words)}), got {choices.dtype} {choices.shape}"
            )
        if choices.size and ((choices < 0) | (choices >= self._space.sizes)).any():
            raise ValueError("a choice names an option that does not exist: outside the space")
        return choices.astype(np.int16, copy=False)

    def _keys(self, choices: NDArray[np.int16]) -> list[bytes]:
        """One key a row, equal only where the victim is bound to see the same token ids."""
        positions = self._space.positions
        if not len(positions):
            return [b""] * len(choices)
        keys = self.classes.table[self.classes.starts + choices[:, positions]]
        packed, size = keys.tobytes(), keys.shape[1] * keys.itemsize
        return [packed[start : start + size] for start in range(0, len(packed), size)]

    @cached_property
    def classes(self) -> OptionClasses:
        """Which options of this space the victim can tell apart."""
        return option_classes(
            self._space, self._candidates, aligned=self._aligned, longest=self._longest
        )


@dataclass(frozen=True)
class OptionClasses:
    """Options that are the same to the victim (two unknown words, say) share a number.

    Attributes:
        table: the number of every option, position after position.
        starts: where the options of each substitutable position begin in ``table``.
        distinct: how many texts of the space the victim can tell apart.
    """

    table: NDArray[np.uint8 | np.uint16]
    starts: NDArray[np.intp]
    distinct: int


def option_classes(
    space: SearchSpace, candidates: Candidates, *, aligned: bool, longest: int
) -> OptionClasses:
    """Compare the token ids of every single substitution.

    Options with equal ids count as one where that is certain whatever the other words are, because every word keeps its place in every row: where a
    word is one token (``aligned``), and where all single substitutions make rows of one length, none of them cut at ``longest`` tokens. Elsewhere each option
    stands for itself.
    """
    sizes = space.sizes[space.positions].astype(np.intp)
    starts = (
        np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        if len(sizes)
        else np.empty(0, dtype=np.intp)
    )
    table = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    distinct = space.cardinality
    if len(sizes):
        choices = np.zeros((len(table), len(space.words)), dtype=np.int16)
        choices[np.arange(len(table)), np.repeat(space.positions, sizes)] = table
        ids, lengths = candidates.encode(choices)
        if aligned or ((lengths == lengths[0]).all() and lengths[0] < longest):
            table, distinct = _merged(ids, starts, sizes)
    small = (
        table.astype(np.uint8) if not len(sizes) or sizes.max() <= 256 else table.astype(np.uint16)
    )
    return OptionClasses(small, starts, distinct)


def _merged(
    ids: NDArray[np.int32], starts: NDArray[np.intp], sizes: NDArray[np.intp]
) -> tuple[NDArray[np.intp], int]:
    """Number the different rows of each position; also the product of how many there are."""
    rows = [row.tobytes() for row in ids]
    table, distinct = [], 1
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        numbers: dict[bytes, int] = {}
        table += [numbers.setdefault(row, len(numbers)) for row in rows[start : start + size]]
        distinct *= len(numbers)
    return np.array(table, dtype=np.intp), distinct
