"""Pool the rows of many searches into full forward passes, each of one row length.

The answers are the same whatever rows share a forward pass. ``robench.search.shapes`` says what the
shapes contribute to this. ``robench.search.packing`` tries the model and chooses the shapes. Under
fixed shapes, which a GPU always needs, all forward passes of one kind have the same number of rows.

Several forward passes may be in flight (``robench.search.forwards``). They may end in any order.

A pool that answers in bf16 queues every doubtful answer (``robench.search.precision``) again, for a
forward pass in fp32. Only the fp32 answer of such a row is used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench._base.arithmetic import one_thread
from robench._base.environment import Precision
from robench._base.errors import is_out_of_memory
from robench.search.forwards import Flight, Forwards
from robench.search.precision import doubtful
from robench.search.row_requests import Piece, Purpose, RowQueue, RowRequest, types_of_rows
from robench.search.shapes import Bucket, Shapes

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim, TokenTypes

__all__ = ["Pool", "Purpose", "RowRequest", "logits_of_rows"]

LONGEST_WAIT_SECONDS = 4.0
"""Maximum seconds that a verdict waits for a fuller batch.

A forward pass with a single verdict costs as much as one with eight rows. The bound makes sure that
an interruption loses few trials that are nearly finished.
"""
_PLACES = np.arange(1024)
"""Places of the rows of most requests; only ever read."""


class Pool:
    """The waiting rows by bucket, and the forward passes that answer them.

    Args:
        precision: of the rows of searches.
        queued: see ``Forwards``.
    """

    def __init__(
        self,
        victim: SearchVictim,
        shapes: Shapes,
        precision: Precision = "fp32",
        *,
        queued: bool = True,
    ) -> None:
        self.victim = victim
        self.shapes = shapes
        self.precision = precision
        self.forwards = Forwards(victim, shapes, queued)
        self._depth = self.forwards.depth
        self._longest = victim.encoder_fields.max_tokens
        self._pad_id = victim.table.pad_id
        self._waiting: dict[Bucket, RowQueue] = {}
        self._verdicts: deque[tuple[float, RowRequest]] = deque()
        self._flying: deque[Flight] = deque()
        self._landed = 0.0

    @property
    def flying(self) -> bool:
        """Whether a forward pass is in flight."""
        return bool(self._flying)

    @property
    def has_room(self) -> bool:
        """Whether one more forward pass may be in flight. A victim without a queue has none."""
        return len(self._flying) < self._depth

    @property
    def waiting(self) -> float:
        """How many full forward passes wait."""
        return sum(queue.rows / queue.capacity for queue in self._waiting.values())

    def put(
        self,
        request: RowRequest,
        types: TokenTypes,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> None:
        """Queue the rows of ``request``.

        Args:
            ids: ``(request.rows, tokens)``.
            lengths: ``(request.rows,)``.
        """
        if request.purpose == "verdict":
            self._verdicts.append((monotonic(), request))
        # With one token per word all rows of a request are equally long, so this case is common.
        if len(lengths) == 1 or (lengths == lengths[0]).all():
            count = len(ids)
            places = _PLACES[:count] if count <= len(_PLACES) else np.arange(count)
            self._put(request, types, places, ids, lengths)
            return
        groups: dict[tuple[int, bool], list[int]] = {}
        for row, length in enumerate(lengths.tolist()):
            padded = self.shapes.padded(length, self._longest)
            groups.setdefault((padded, self._apart(length, padded)), []).append(row)
        for _, rows in sorted(groups.items()):
            at = np.array(rows, dtype=np.intp)
            self._put(request, types, at, ids[at], lengths[at])

    def _apart(self, length: int, padded: int) -> bool:
        """Return whether a row of ``length`` tokens must share passes with padded rows only."""
        return self.shapes.fixed and length < padded

    def _put(
        self,
        request: RowRequest,
        types: TokenTypes,
        at: NDArray[np.intp],
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> None:
        """Queue rows that share a padded length."""
        first = int(lengths[0])
        length = self.shapes.padded(first, self._longest)
        if ids.shape[1] > length:
            ids = ids[:, :length]
        elif ids.shape[1] < length:
            ids = np.pad(ids, ((0, 0), (0, length - ids.shape[1])), constant_values=self._pad_id)
        single = request.purpose != "search"
        bucket = Bucket(
            length,
            "fp32" if single else self.precision,
            single and self.shapes.fixed,
            self._apart(first, length),
        )
        if self.victim.segments:
            row_types = types_of_rows(types, lengths, length)
        else:
            row_types = ids[:, :0].view(np.int8)
        self._queue(Piece(request, at, ids, lengths, row_types), bucket)

    def _queue(self, piece: Piece, bucket: Bucket) -> None:
        """Insert a piece in its bucket."""
        piece.request.bucket = bucket
        queue = self._waiting.get(bucket)
        if queue is None:
            queue = self._waiting[bucket] = RowQueue(self.shapes.rows(bucket))
        queue.put(piece)

    def full(self) -> Bucket | None:
        """Return a bucket with rows for a full forward pass, None if there is none.

        Of several it is that of the oldest search.
        """
        best, oldest = None, 0
        for bucket, queue in self._waiting.items():
            if queue.rows >= queue.capacity:
                order = queue.pieces[0].request.order
                if best is None or order < oldest:
                    best, oldest = bucket, order
        return best

    def fullest(self, least: float = 0.0) -> Bucket | None:
        """Return the bucket that fills most of a forward pass; None if no rows wait.

        Args:
            least: share of a forward pass that its rows must fill.
        """
        best, most = None, 0.0
        for bucket, queue in self._waiting.items():
            share = queue.rows / queue.capacity
            if share >= least and (best is None or share > most):
                best, most = bucket, share
        return best

    def overdue(self) -> Bucket | None:
        """Return the bucket of a verdict that has waited too long; None if there is none.

        The bound is ``LONGEST_WAIT_SECONDS``.
        """
        while self._verdicts and self._verdicts[0][1].missing <= 0:
            self._verdicts.popleft()
        if not self._verdicts:
            return None
        since, request = self._verdicts[0]
        # Rows in flight wait for nobody.
        if request.bucket not in self._waiting:
            return None
        return request.bucket if monotonic() - since > LONGEST_WAIT_SECONDS else None

    def forward(self, bucket: Bucket) -> list[RowRequest]:
        """Run one forward pass on rows of that bucket, and wait for all that are in flight.

        Returns:
            The requests that now have all their answers, in order.
        """
        done = self.start(bucket)
        while self._flying:
            done += self.collect(wait=True)
        return done

    def start(self, bucket: Bucket) -> list[RowRequest]:
        """Start one forward pass on rows of that bucket.

        Returns:
            The requests that have all their answers already: the victim answers at once, or it
            refused the forward pass.
        """
        queue = self._waiting[bucket]
        pieces = queue.take()
        if not queue.rows:
            del self._waiting[bucket]
        try:
            flight = self.forwards.start(pieces, bucket)
        except Exception as error:
            return self._recover(pieces, bucket, error)
        if self._depth:
            self._flying.append(flight)
            return []
        return self._land(flight)

    def collect(self, wait: bool) -> list[RowRequest]:
        """Take the answers of the forward passes that have ended.

        Args:
            wait: whether to wait for the oldest one, where none has ended.

        Returns:
            The requests that now have all their answers.
        """
        ended = [flight for flight in self._flying if flight.ready()]
        if not ended and wait and self._flying:
            ended = [self._flying[0]]
        done: list[RowRequest] = []
        for flight in ended:
            # The failure of another one may have brought this one down already.
            if flight in self._flying:
                self._flying.remove(flight)
                done += self._land(flight)
        return done

    def abandon(self) -> None:
        """Forget what is in flight; nobody waits for it any more."""
        self._flying.clear()

    def forget(self, request: RowRequest) -> None:
        """Remove the waiting rows of a request whose search has ended."""
        request.over = True
        for bucket, queue in list(self._waiting.items()):
            kept = [piece for piece in queue.pieces if piece.request is not request]
            if len(kept) == len(queue.pieces):
                continue
            queue.pieces, queue.rows = deque(kept), sum(len(piece.at) for piece in kept)
            if not queue.rows:
                del self._waiting[bucket]

    def _land(self, flight: Flight) -> list[RowRequest]:
        """Pass the answers of a forward pass on; return the requests that have all of theirs."""
        try:
            logits = self.forwards.answers(flight)
        except Exception as error:
            return self._recover(flight.pieces, flight.bucket, error)
        now = perf_counter()
        # Forward passes run one after the other, so one begins when the one before it has ended.
        seconds, self._landed = now - max(flight.started, self._landed), now
        return self._share(flight.pieces, logits, seconds, flight.bucket)

    def _share(
        self,
        pieces: Sequence[Piece],
        logits: NDArray[np.float32],
        seconds: float,
        bucket: Bucket,
    ) -> list[RowRequest]:
        """Give each piece its answers; return the requests that have all of theirs."""
        share, given, done = seconds / len(logits), 0, []
        again = None if bucket.precision == "fp32" else _doubtful(pieces, logits)
        for piece in pieces:
            rows, request = len(piece.at), piece.request
            own = slice(given, given + rows)
            given += rows
            if request.over:
                continue
            if again is None or not again[own].any():
                request.fill(piece.at, logits[own], share * rows)
            else:
                # The reliable answers count; the doubtful rows are queued again for fp32.
                clear = ~again[own]
                request.fill(piece.at[clear], logits[own][clear], share * rows)
                self._queue(piece.rows(~clear), Bucket(bucket.length, padded=bucket.padded))
            if request.missing <= 0:
                done.append(request)
        return done

    def _recover(
        self, pieces: Sequence[Piece], bucket: Bucket, first: Exception
    ) -> list[RowRequest]:
        """Answer the rows of a forward pass that failed.

        One bad row must not cost the others their answers, so each piece is tried alone. The
        forward pass keeps its shape, because under fixed shapes another shape could change the
        last bits. Only where the memory was too small it has fewer rows.
        """
        done: list[RowRequest] = []
        if is_out_of_memory(first) and self._flying:
            # Forward passes in flight share the memory. From now on there is one at a time, and
            # this one is tried again when the others have ended.
            self._depth = 1
            while self._flying:
                done += self.collect(wait=True)
            try:
                flight = self.forwards.start(pieces, bucket)
                return done + self._share(
                    pieces,
                    self.forwards.answers(flight),
                    perf_counter() - flight.started,
                    bucket,
                )
            except Exception as second:
                first = second
        shape = bucket._replace(small=True) if is_out_of_memory(first) else bucket
        for piece in pieces:
            if piece.request.over:
                continue
            try:
                flight = self.forwards.start([piece], shape)
                logits = self.forwards.answers(flight)
            except Exception as error:
                piece.request.fail(error)
                done.append(piece.request)
            else:
                done += self._share([piece], logits, perf_counter() - flight.started, bucket)
        return done

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8],
        bucket: Bucket,
    ) -> NDArray[np.float32]:
        """Run one forward pass of the shape of ``bucket``; see ``Forwards.logits``."""
        return self.forwards.logits(ids, lengths, types, bucket)


def logits_of_rows(
    victim: SearchVictim, rows: Iterable[tuple[TokenTypes, NDArray[np.int32], NDArray[np.int32]]]
) -> NDArray[np.float32]:
    """Compute the logits of single rows in fp32, in the usual shapes of the victim's device.

    Args:
        rows: token types, ids ``(1, tokens)`` and lengths ``(1,)`` of each row.

    Returns:
        ``(rows, classes)``.

    Raises:
        Exception: whatever the victim raised.
    """
    pool, requests = Pool(victim, Shapes.of(victim)), []
    for types, ids, lengths in rows:
        requests.append(RowRequest(None, 1))
        pool.put(requests[-1], types, ids, lengths)
    with one_thread():
        while (bucket := pool.fullest()) is not None:
            pool.forward(bucket)
    for request in requests:
        if request.failure is not None:
            raise request.failure
    return np.concatenate([request.answers for request in requests])


def _doubtful(pieces: Sequence[Piece], logits: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return which bf16 answers must be computed again, ``(rows,)``; None where none must."""
    favoured, given = logits.argmax(axis=1), 0
    for piece in pieces:
        rows = len(piece.at)
        if piece.request.label is not None:
            favoured[given : given + rows] = piece.request.label
        given += rows
    again = doubtful(logits, favoured)
    return again if again.any() else None
