"""Single forward passes: filled up to their shape, queued at the victim, and checked.

A victim on a device of its own can have several forward passes in flight (``ForwardQueue``). Then
the next ones are packed while one runs. Any other victim answers at once, and none is in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.signals import raise_if_signalled
from robench.search.problems import describe_error
from robench.search.row_requests import Piece
from robench.search.shapes import Bucket, Shapes
from robench.search.victim_protocol import ForwardQueue, PendingAnswers, SearchVictim


class _Answered:
    """The answers of a victim that has no queue; they are here already."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self._logits = logits

    def ready(self) -> bool:
        return True

    def result(self) -> NDArray[np.float32]:
        return self._logits


@dataclass(eq=False)
class Flight:
    """One forward pass that the victim has accepted.

    Attributes:
        bucket: its shape.
        pieces: its rows.
        pending: its answers.
        started: when it was packed, in seconds of ``perf_counter``.
    """

    bucket: Bucket
    pieces: Sequence[Piece]
    pending: PendingAnswers
    started: float = field(default_factory=perf_counter)

    @property
    def rows(self) -> int:
        """Number of its rows, without copies."""
        return sum(len(piece.at) for piece in self.pieces)

    def ready(self) -> bool:
        """Return whether its answers, or its failure, can be had without waiting."""
        try:
            return self.pending.ready()
        # What has gone wrong shows in the result.
        except Exception:
            return True


class Forwards:
    """The forward passes of one victim.

    Args:
        queued: whether the victim's queue is used, if it has one.

    Attributes:
        depth: most forward passes in flight; 0 where the victim answers at once.
    """

    def __init__(self, victim: SearchVictim, shapes: Shapes, queued: bool = True) -> None:
        self.shapes = shapes
        self._victim = victim
        make_queue = getattr(victim, "forward_queue", None) if queued else None
        self._queue: ForwardQueue | None = None if make_queue is None else make_queue()
        self.depth = 0 if self._queue is None else max(1, self._queue.depth)

    def start(self, pieces: Sequence[Piece], bucket: Bucket) -> Flight:
        """Pass the rows of ``pieces`` to the victim, which may compute them later."""
        started = perf_counter()
        if len(pieces) == 1:
            ids, lengths, types = pieces[0].ids, pieces[0].lengths, pieces[0].types
        else:
            ids = np.concatenate([piece.ids for piece in pieces])
            lengths = np.concatenate([piece.lengths for piece in pieces])
            types = np.concatenate([piece.types for piece in pieces])
        return Flight(bucket, pieces, self._submit(ids, lengths, types, bucket), started)

    def answers(self, flight: Flight) -> NDArray[np.float32]:
        """Wait for a forward pass and return its logits ``(rows, classes)``.

        Raises:
            ValueError: the victim's answer has another number of rows, or is not finite.
            RuntimeError: the victim raised ``SystemExit`` or the like.
            Exception: whatever the victim raised.
        """
        return self._checked(flight.pending, flight.rows)

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8],
        bucket: Bucket,
    ) -> NDArray[np.float32]:
        """Run one forward pass of the shape of ``bucket`` and wait for it.

        Args:
            ids: ``(rows, bucket.length)``, at most as many rows as a full forward pass has.
            lengths: ``(rows,)`` tokens of each row without padding.
            types: ``(rows, bucket.length)`` token types.

        Returns:
            Logits ``(rows, classes)``.

        Raises:
            Exception: see ``answers``.
        """
        return self._checked(self._submit(ids, lengths, types, bucket), len(ids))

    def _submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8],
        bucket: Bucket,
    ) -> PendingAnswers:
        rows = len(ids)
        copies = self.shapes.filled(rows, bucket) - rows
        if copies > 0:
            ids, lengths, types = (
                np.concatenate([array, np.repeat(array[:1], copies, axis=0)])
                for array in (ids, lengths, types)
            )
        return self._ask(ids, lengths, types if self._victim.segments else None, bucket.precision)

    def _ask(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingAnswers:
        try:
            if self._queue is not None:
                return self._queue.submit(ids, lengths, types, precision)
            return _Answered(self._victim.logits(ids, lengths, types, precision))
        # A victim can be a user's function, and its SystemExit is not the user's wish to end.
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise_if_signalled()
            raise RuntimeError(describe_error(error)) from error

    def _checked(self, pending: PendingAnswers, rows: int) -> NDArray[np.float32]:
        try:
            answer = pending.result()
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise_if_signalled()
            raise RuntimeError(describe_error(error)) from error
        logits = np.asarray(answer, dtype=np.float32)[:rows]
        if logits.shape[0] != rows or not np.isfinite(logits).all():
            raise ValueError(
                f"the victim answered {rows} rows with {logits.shape[0]}, or with numbers that "
                "are not finite"
            )
        return logits
