"""The oracles that searches query.

An oracle checks each query, answers repeats from memory and counts rows. It pauses the search until
the pool has answered the new rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import softmax
from robench.search.answer_memory import AnswerMemory
from robench.search.option_classes import OptionClasses, option_classes
from robench.search.oracle_interface import BudgetSpent
from robench.search.victim_protocol import Candidates
from robench.text.space import Choice, SearchSpace

ForwardRows = Callable[[Candidates, NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""Passes rows (ids, lengths) to the pool and returns their logits.

The engine provides it; it switches greenlets.
"""

EncodeRows = Callable[[list[int]], tuple[Candidates, NDArray[np.int32], NDArray[np.int32]]]
"""Returns candidates, ids and lengths of the new rows of a query, given their indices."""

InspectNew = Callable[[list[int], NDArray[np.float32]], None]
"""Receives the indices of the new rows of a query, and their logits."""


class SpaceExhausted(BaseException):
    """Ends a search: every text of the space has been answered and none is misclassified.

    It is not an Exception, so that no search catches it by mistake.
    """


class StopIgnored(BaseException):
    """Ends a search that keeps querying after its end.

    It is not an Exception, because this search has already caught those.

    Attributes:
        reason: the exception that ended the search.
    """

    def __init__(self, reason: BaseException) -> None:
        super().__init__(f"the search kept querying after {type(reason).__name__}: {reason}")
        self.reason = reason


MAX_SUCCESSES = 8
"""Number of texts that fool the victim that the oracle remembers.

Several are kept because the verdict may reject the first.
"""
MAX_REFUSALS = 100
"""Number of queries refused before a search is stopped by force."""
MAX_ROWS = 1_000_000
"""Most rows of one query; more would only fill the memory."""


class MeteredOracle:
    """Base of every oracle for one example.

    It answers repeats from memory, counts rows and enforces the budget.

    Args:
        ask: passes new rows to the pool.

    Attributes:
        budget: rows that may be queried; None for no bound.
        asked: rows that the search queried, repeats included; the budget is charged with them.
        forwarded: distinct rows among them, which went through the victim.
        successes: the first changed texts of the space that were answered and misclassified, at
            most ``MAX_SUCCESSES``, whether or not the search used them. No two are the same to
            the victim.
        asked_at_successes: value of ``asked`` at each of ``successes``, that row included.
        exhausted: whether every text of the space was answered and none misclassified.
    """

    def __init__(self, ask: ForwardRows, budget: int | None) -> None:
        self._ask, self.budget = ask, budget
        # Answers to queries outside the space; PooledOracle keeps those inside it apart.
        self._outside = AnswerMemory()
        self._over: BaseException | None = None
        self._refused = 0
        self.asked = self.forwarded = 0
        self._asked_before = 0
        self.successes: list[Choice] = []
        self.asked_at_successes: list[int] = []
        self.exhausted = False

    def charge(self, rows: int) -> None:
        """Count rows that do not go through the pool.

        Raises:
            ValueError: fewer than one row.
            BudgetSpent: they would exceed the rest of the budget.
        """
        if rows < 1:
            raise ValueError(f"a query is charged with at least one row, got {rows}")
        if self._over is None and self.budget is not None and self.asked + rows > self.budget:
            self._over = BudgetSpent(
                f"{rows} more rows after {self.asked} would exceed the budget of {self.budget}"
            )
        if self._over is not None:
            self._refuse(self._over)
        self.asked += rows
        self.forwarded += rows

    def close(self) -> None:
        """Free the answers now instead of leaving them to the garbage collector.

        An exception raised here refers back to this object, so they would stay until then.
        """
        self._outside = AnswerMemory()
        self._over = BudgetSpent("the search has ended")

    def _answer(
        self,
        memory: AnswerMemory,
        keys: list[bytes],
        encode: EncodeRows,
        inspect: InspectNew | None = None,
    ) -> NDArray[np.float32]:
        """Return the answers by key; ``inspect`` receives those that are new.

        If a query exceeds the budget, its first rows are computed all the same. Their answers
        count for ``successes`` and ``exhausted``.
        """
        if not keys:
            raise ValueError("a query without rows")
        if self._over is not None:
            self._refuse(self._over)
        affordable = len(keys) if self.budget is None else min(len(keys), self.budget - self.asked)
        self._asked_before = self.asked
        self.asked += affordable
        self._recall(memory, keys[:affordable])
        places, fresh = memory.places(keys[:affordable])
        if fresh:
            logits = self._forward(memory, encode, fresh)
            if inspect is not None:
                inspect(fresh, logits)
        if affordable < len(keys):
            self._over = BudgetSpent(
                f"the budget of {self.budget} rows was spent "
                f"{affordable} rows into a query of {len(keys)}"
            )
            raise self._over
        return memory.read(places)

    def _recall(self, memory: AnswerMemory, keys: list[bytes]) -> None:
        """Add answers that are known already to ``memory``, before a query is looked up."""

    def _refuse(self, reason: BaseException) -> NoReturn:
        """Raise ``reason`` again, or StopIgnored after ``MAX_REFUSALS`` refusals."""
        self._refused += 1
        raise StopIgnored(reason) if self._refused > MAX_REFUSALS else reason

    def _forward(
        self, memory: AnswerMemory, encode: EncodeRows, fresh: list[int]
    ) -> NDArray[np.float32]:
        try:
            logits = self._ask(*encode(fresh))
        # After a failure the memory has keys without answers, so the search cannot continue.
        except BaseException as error:
            self._over = error
            raise
        memory.store(logits)
        self.forwarded += len(logits)
        return logits


class PooledOracle(MeteredOracle):
    """``robench.Oracle`` for one example.

    Args:
        label: the true class, used for ``successes`` and ``exhausted`` only.
        aligned, longest: see ``option_classes``.
        clean: logits ``(classes,)`` of the original text, if the victim has already answered
            exactly this row; then it is not asked again.
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
        self._sizes = space.sizes.view(np.uint16)
        self._clean = clean
        self._uncounted: bytes | None = None
        self._fooled = False

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return logits; see ``robench.Oracle``.

        Raises:
            ValueError: a choice lies outside the space.
        """
        choices = self._checked(choices)
        keys = self._keys(choices)
        return self._answer(
            self._inside,
            keys,
            lambda fresh: (self._candidates, *self._candidates.encode(_some(choices, fresh))),
            lambda fresh, logits: self._inspect(_some(choices, fresh), logits, fresh),
        )

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return probabilities; see ``robench.Oracle``."""
        return softmax(self.logits(choices))

    def logits_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return logits with words left out; see ``robench.Oracle``.

        Raises:
            ValueError: a position is not visible.
        """
        choice = self._checked(np.asarray(choice)[None])[0]
        positions = np.asarray(positions)
        if positions.ndim != 1 or positions.dtype.kind not in "iu":
            raise ValueError(
                f"positions must be integers of shape (n,), got {positions.dtype} {positions.shape}"
            )
        _check_size(len(positions))
        # What is checked must be what is used, so the copy comes before the check.
        positions = np.array(positions, dtype=np.intp)
        if positions.size and not (positions.min() >= 0 and positions.max() < self._space.visible):
            raise ValueError(
                f"a position to leave out is beyond the {self._space.visible} visible words"
            )
        key = self._keys(choice[None])[0]
        keys = [key + position.to_bytes(4, "little") for position in positions.tolist()]
        return self._answer(
            self._outside,
            keys,
            lambda fresh: (
                self._candidates,
                *self._candidates.encode_without(choice, positions[fresh]),
            ),
        )

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return probabilities with words left out; see ``robench.Oracle``."""
        return softmax(self.logits_without(choice, positions))

    def prediction(self, choice: Choice) -> int | None:
        """Return the class of a choice that the search queried; None for any other choice."""
        logits = self._inside.get(self._keys(choice[None])[0])
        return None if logits is None else int(logits.argmax())

    def close(self) -> None:
        """Free the answers; see ``MeteredOracle``."""
        super().close()
        self._inside = AnswerMemory()

    def _recall(self, memory: AnswerMemory, keys: list[bytes]) -> None:
        """Use the known answer of the original text.

        It counts as forwarded once the search queries the text, because it went through the
        victim.
        """
        if memory is not self._inside:
            return
        clean = self._clean
        if clean is not None:
            self._clean = None
            original = self._space.original()[None]
            (self._uncounted,) = own = self._keys(original)
            memory.places(own)
            memory.store(clean[None])
        if self._uncounted is not None and self._uncounted in keys:
            self.forwarded, self._uncounted = self.forwarded + 1, None
        if clean is not None:
            self._inspect(original, clean[None], [0])

    def _inspect(
        self, choices: NDArray[np.int16], logits: NDArray[np.float32], rows: list[int]
    ) -> None:
        """Note successes among new answers inside the space, and whether the space is exhausted.

        This does not depend on what the search does with the answers.

        Args:
            choices: the choices that were answered for the first time.
            logits: their logits.
            rows: their indices in the query.
        """
        wrong = logits.argmax(axis=1) != self._label
        if wrong.any():
            self._fooled = True
            changed = np.flatnonzero(wrong & choices.any(axis=1))
            for row in changed[: MAX_SUCCESSES - len(self.successes)].tolist():
                self.successes.append(choices[row].copy())
                self.asked_at_successes.append(self._asked_before + rows[row] + 1)
        if not self._fooled and len(self._inside) == self.classes.distinct:
            self.exhausted, self._over = True, SpaceExhausted()
            raise self._over

    def _checked(self, choices: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return a copy of the choices, which nobody else can change.

        Raises:
            ValueError: they are no choices of the space.
        """
        choices = np.asarray(choices)
        words = len(self._space.words)
        if choices.ndim != 2 or choices.shape[1] != words or choices.dtype.kind not in "iu":
            raise ValueError(
                f"choices must be integers of shape (batch, {words}), "
                f"got {choices.dtype} {choices.shape}"
            )
        _check_size(len(choices))
        # What is checked must be what is used, so the copy comes before the check.
        choices = np.array(choices, order="C")
        if choices.dtype == np.int16:
            # As unsigned numbers, negative ones are too large, so one comparison is enough.
            outside = choices.view(np.uint16) >= self._sizes
        else:
            outside = (choices < 0) | (choices >= self._space.sizes)
        if outside.any():
            raise ValueError("a choice names an option that does not exist: outside the space")
        return choices.astype(np.int16, copy=False)

    def _keys(self, choices: NDArray[np.int16]) -> list[bytes]:
        """Return one key per row; equal keys mean that the victim sees the same token ids."""
        positions = self._space.positions
        if not len(positions):
            return [b""] * len(choices)
        classes = self.classes
        keys = np.ascontiguousarray(classes.table[classes.starts + choices.take(positions, axis=1)])
        # One view of all rows makes the keys at once, which is faster than row by row.
        packed: list[bytes] = keys.view(f"V{keys.shape[1] * keys.itemsize}").ravel().tolist()
        return packed

    @cached_property
    def classes(self) -> OptionClasses:
        """The options of this space that the victim can tell apart."""
        return option_classes(
            self._space, self._candidates, aligned=self._aligned, longest=self._longest
        )


def _some(choices: NDArray[np.int16], rows: list[int]) -> NDArray[np.int16]:
    """Return the choices of ``rows``, which are ascending; without a copy if these are all."""
    return choices if len(rows) == len(choices) else choices[rows]


def _check_size(rows: int) -> None:
    """Refuse a query that is too large to be kept."""
    if rows > MAX_ROWS:
        raise ValueError(f"a query of {rows:,} rows; ask in parts of at most {MAX_ROWS:,}")
