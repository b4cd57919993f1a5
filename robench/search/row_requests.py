"""The rows that an example waits for, and the pieces in which they wait."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from robench.search.shapes import Bucket

if TYPE_CHECKING:
    from robench.search.victim_protocol import TokenTypes

Purpose = Literal["clean", "search", "verdict"]
"""What rows are for: the clean prediction, the search, or the verdict after it."""
_rank = attrgetter("request.rank")


class RowRequest:
    """Rows whose answers one example waits for.

    Attributes:
        owner: the example that waits.
        order: when that example began. Older ones go first, so that their searches end and free
            their memory. Verdicts go before all others.
        label: the true class, by which a bf16 pool decides which answers are clear; None if
            there is none.
        purpose: only rows of a search are ever answered in bf16.
        bucket: where its rows, or the last of them, were queued.
        answers: ``(rows, classes)``, filled as forward passes end.
        missing: number of rows without an answer.
        seconds: this request's share of the forward passes so far.
        failure: why the victim could not answer.
        over: whether it waits no more: it failed, or its example has ended. Answers that come
            later are dropped.
    """

    __slots__ = (
        "answers",
        "bucket",
        "failure",
        "label",
        "missing",
        "order",
        "over",
        "owner",
        "purpose",
        "rows",
        "seconds",
    )

    def __init__(
        self,
        owner: Any,
        rows: int,
        order: int = 0,
        label: int | None = None,
        purpose: Purpose = "search",
    ) -> None:
        self.owner = owner
        self.order = order
        self.label = label
        self.purpose = purpose
        self.bucket: Bucket | None = None
        self.rows = rows
        self.missing = rows
        self.seconds = 0.0
        self.answers: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self.failure: Exception | None = None
        self.over = False

    @property
    def rank(self) -> tuple[bool, int]:
        """Whose rows go first: verdicts, and then those of the oldest search."""
        return self.purpose != "verdict", self.order

    def fill(self, at: NDArray[np.intp], logits: NDArray[np.float32], seconds: float) -> None:
        """Store the answers of the rows ``at``."""
        if len(at) == self.rows:
            # The usual case: one forward pass had all rows, which are in order.
            self.answers = np.array(logits, dtype=np.float32)
        else:
            if not len(self.answers):
                self.answers = np.empty((self.rows, logits.shape[1]), dtype=np.float32)
            self.answers[at] = logits
        self.missing -= len(at)
        self.seconds += seconds

    def fail(self, failure: Exception) -> None:
        """Note that the victim failed on a row; no further answers are expected."""
        self.failure, self.over = failure, True
        self.missing = 0


@dataclass(slots=True, eq=False)
class Piece:
    """Rows of one request that share a padded length.

    Attributes:
        at: the places of the rows in the request, in ascending order.
        ids: ``(rows, tokens)``.
        lengths: ``(rows,)`` tokens of each row without padding.
        types: ``(rows, tokens)`` token types; ``(rows, 0)`` if the victim does not read them.
    """

    request: RowRequest
    at: NDArray[np.intp]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    types: NDArray[np.int8]

    def cut(self, rows: int) -> Piece:
        """Remove the first ``rows`` rows from this piece and return them as a piece."""
        head, rest = self.rows(slice(rows)), slice(rows, None)
        self.at, self.ids = self.at[rest], self.ids[rest]
        self.lengths, self.types = self.lengths[rest], self.types[rest]
        return head

    def rows(self, which: slice | NDArray[np.bool_]) -> Piece:
        """Return some of the rows."""
        return Piece(
            self.request, self.at[which], self.ids[which], self.lengths[which], self.types[which]
        )


@dataclass(slots=True, eq=False)
class RowQueue:
    """The waiting pieces of one bucket, in the order in which they go.

    Attributes:
        capacity: rows of a full forward pass.
        rows: waiting rows.
    """

    capacity: int
    pieces: deque[Piece] = field(default_factory=deque)
    rows: int = 0

    def put(self, piece: Piece) -> None:
        """Insert a piece, verdicts first and then by age of the search."""
        # Most pieces belong to the youngest search so far, or to an empty queue.
        if not self.pieces or self.pieces[-1].request.rank <= piece.request.rank:
            self.pieces.append(piece)
        else:
            insort(self.pieces, piece, key=_rank)
        self.rows += len(piece.at)

    def take(self) -> list[Piece]:
        """Remove the rows of one forward pass from the front; the last piece may be cut."""
        taken: list[Piece] = []
        room = self.capacity
        while self.pieces and room > 0:
            first = self.pieces[0]
            piece = self.pieces.popleft() if len(first.at) <= room else first.cut(room)
            taken.append(piece)
            room -= len(piece.at)
        self.rows -= self.capacity - room
        return taken


def types_of_rows(types: TokenTypes, lengths: NDArray[np.int32], padded: int) -> NDArray[np.int8]:
    """Return the token types of rows of those lengths, ``(rows, padded)``, 0 on the padding."""
    rows = np.zeros((len(lengths), padded), dtype=np.int8)
    distinct = set(lengths.tolist())
    for length in distinct:
        # Rows of one length are the common case, and a slice is faster than a mask.
        chosen = slice(None) if len(distinct) == 1 else lengths == length
        rows[chosen, :length] = types.types(length)
    return rows
