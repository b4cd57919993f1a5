"""The shared memory of a device process: one slot for each forward pass in flight.

The memory has no name. It goes with its last process, however that ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench.search.shapes import Shapes

LETTERS = 2048
"""Bytes of an error that are kept."""
_LINE = 64
"""Every part begins at a multiple of this number of bytes."""


class State(IntEnum):
    """What happens to the forward pass of a slot."""

    NONE = 0
    WAITING = 1
    RUNNING = 2
    ANSWERED = 3


@dataclass(frozen=True)
class SlotSizes:
    """How many slots there are, and the largest forward pass.

    Attributes:
        places: number of search processes.
        depth: slots of each.
        rows: rows of the largest forward pass.
        tokens: tokens of the largest forward pass, padding included.
        classes: number of labels.
    """

    places: int
    depth: int
    rows: int
    tokens: int
    classes: int

    @classmethod
    def of(cls, shapes: Shapes, longest: int, classes: int, places: int, depth: int) -> SlotSizes:
        """Return the sizes for forward passes of any bucket.

        Args:
            shapes: of the forward passes.
            longest: tokens of the longest row.
            classes: number of labels.
            places, depth: as above.
        """
        rows = max(shapes.most, shapes.floor)
        return cls(places, depth, rows, max(shapes.tokens, shapes.floor * longest), classes)

    @property
    def _parts(self) -> tuple[int, ...]:
        """Bytes of the parts of a slot: state, lengths, ids, types, answers, error."""
        sizes = (8, 4 * self.rows, 4 * self.tokens, self.tokens, 4 * self.rows * self.classes)
        return tuple(-(-size // _LINE) * _LINE for size in (*sizes, LETTERS))

    def bytes(self) -> int:
        """Return the size of the memory."""
        return _LINE + self.places * self.depth * sum(self._parts)

    def starts(self, place: int, slot: int) -> tuple[int, ...]:
        """Return where the parts of a slot begin."""
        parts = self._parts
        first = _LINE + (place * self.depth + slot) * sum(parts)
        return tuple(first + sum(parts[:number]) for number in range(len(parts)))


class Rows(NamedTuple):
    """The rows of a forward pass; the arguments of ``ForwardQueue.submit``."""

    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    types: NDArray[np.int8] | None


class Slot:
    """Memory of one forward pass: rows from a search process, answers from the device process."""

    def __init__(
        self, memory: NDArray[np.uint8], sizes: SlotSizes, place: int, number: int
    ) -> None:
        state, lengths, ids, types, answers, error = sizes.starts(place, number)
        self._sizes = sizes
        self._state = memory[state : state + 8].view(np.int64)
        self._lengths = memory[lengths : lengths + 4 * sizes.rows].view(np.int32)
        self._ids = memory[ids : ids + 4 * sizes.tokens].view(np.int32)
        self._types = memory[types : types + sizes.tokens].view(np.int8)
        room = 4 * sizes.rows * sizes.classes
        self._answers = memory[answers : answers + room].view(np.float32)
        self._error = memory[error : error + LETTERS]

    @property
    def state(self) -> State:
        """What happens to its forward pass."""
        return State(int(self._state[0]))

    @state.setter
    def state(self, state: State) -> None:
        self._state[0] = state

    def write(self, rows: Rows) -> None:
        """Store the rows of a forward pass.

        Raises:
            ValueError: it is larger than the slot.
        """
        ids, lengths, types = rows
        if len(ids) > self._sizes.rows or ids.size > self._sizes.tokens:
            raise ValueError(
                f"a forward pass of {len(ids)} rows of {ids.shape[1]} tokens does not fit into "
                f"a slot of {self._sizes.rows} rows and {self._sizes.tokens} tokens"
            )
        self._ids[: ids.size].reshape(ids.shape)[...] = ids
        self._lengths[: len(lengths)] = lengths
        if types is not None:
            self._types[: ids.size].reshape(ids.shape)[...] = types

    def read(self, rows: int, tokens: int, types: bool) -> Rows:
        """Return the rows that ``write`` stored, without a copy."""
        shape, size = (rows, tokens), rows * tokens
        return Rows(
            self._ids[:size].reshape(shape),
            self._lengths[:rows],
            self._types[:size].reshape(shape) if types else None,
        )

    def answer(self, logits: NDArray[np.float32]) -> None:
        """Store the answers ``(rows, classes)``.

        Raises:
            ValueError: there are more than the slot holds.
        """
        if logits.ndim != 2 or logits.size > len(self._answers):
            raise ValueError(f"answers of shape {logits.shape} do not fit into a slot")
        self._answers[: logits.size].reshape(logits.shape)[...] = logits

    def answers(self, rows: int, classes: int) -> NDArray[np.float32]:
        """Return a copy of the answers."""
        return self._answers[: rows * classes].reshape(rows, classes).copy()

    def fail(self, text: str) -> int:
        """Store an error, and return its number of bytes."""
        content = text.encode(errors="replace")[:LETTERS]
        self._error[: len(content)] = np.frombuffer(content, dtype=np.uint8)
        return len(content)

    def error(self, letters: int) -> str:
        """Return the error."""
        return self._error[:letters].tobytes().decode(errors="replace")


class SharedSlots:
    """All slots, and the number of answers so far. Child processes get it when they start."""

    def __init__(self, sizes: SlotSizes) -> None:
        self.sizes = sizes
        self._memory: Any = get_context("spawn").RawArray("B", sizes.bytes())

    @property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self._memory, dtype=np.uint8)

    def of(self, place: int) -> list[Slot]:
        """Return the slots of one search process."""
        memory = self._bytes
        return [Slot(memory, self.sizes, place, number) for number in range(self.sizes.depth)]

    @property
    def answered(self) -> int:
        """How many forward passes were answered, in all device processes."""
        return int(self._bytes[:8].view(np.int64)[0])

    def count_answer(self) -> None:
        """Count one more answer. Only the device process does this."""
        self._bytes[:8].view(np.int64)[0] += 1
