"""Pool the rows of many searches into full forward passes, each of one row length.

The answers are the same whatever rows share a forward pass. ``robench.search.shapes`` says what the
shapes contribute to this. ``robench.search.packing`` tries the model and chooses the shapes. Under
fixed shapes, which a GPU always needs, all forward passes of one kind have the same number of rows.

A pool that answers in bf16 queues every doubtful answer (``robench.search.precision``) again, for a
forward pass in fp32. Only the fp32 answer of such a row is used.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from robench._base.arithmetic import one_thread
from robench._base.environment import Precision
from robench._base.errors import is_out_of_memory
from robench._base.signals import raise_if_signalled
from robench.search.precision import doubtful
from robench.search.problems import describe_error
from robench.search.shapes import Bucket, Shapes

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim, TokenTypes

Purpose = Literal["clean", "search", "verdict"]
"""What rows are for: the clean prediction, the search, or the verdict after it."""
LONGEST_WAIT_SECONDS = 4.0
"""Maximum seconds that a verdict waits for a fuller batch.

A forward pass with a single verdict costs as much as one with eight rows. The bound makes sure that
an interruption loses few trials that are nearly finished.
"""


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
    """

    __slots__ = (
        "answers",
        "bucket",
        "failure",
        "label",
        "missing",
        "order",
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

    def fill(self, at: NDArray[np.intp], logits: NDArray[np.float32], seconds: float) -> None:
        """Store the answers of the rows ``at``."""
        if not len(self.answers):
            self.answers = np.empty((self.rows, logits.shape[1]), dtype=np.float32)
        self.answers[at] = logits
        self.missing -= len(at)
        self.seconds += seconds

    def fail(self, failure: Exception) -> None:
        """Note that the victim failed on a row; no further answers are expected."""
        self.failure = failure
        self.missing = 0


@dataclass(slots=True)
class _Piece:
    """Rows of one request that share a padded length.

    Attributes:
        at: the places of the rows in the request.
        ids: ``(rows, tokens)``.
        lengths: ``(rows,)`` tokens of each row without padding.
        types: ``(rows, tokens)`` token types; ``(rows, 0)`` if the victim does not read them.
    """

    request: RowRequest
    at: NDArray[np.intp]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    types: NDArray[np.int8]

    def cut(self, rows: int) -> _Piece:
        """Remove the first ``rows`` rows from this piece and return them as a piece."""
        head, rest = self.rows(slice(rows)), slice(rows, None)
        self.at, self.ids = self.at[rest], self.ids[rest]
        self.lengths, self.types = self.lengths[rest], self.types[rest]
        return head

    def rows(self, which: slice | NDArray[np.bool_]) -> _Piece:
        """Return some of the rows."""
        return _Piece(
            self.request, self.at[which], self.ids[which], self.lengths[which], self.types[which]
        )


class Pool:
    """The waiting rows by bucket, and the forward passes that answer them."""

    def __init__(self, victim: SearchVictim, shapes: Shapes, precision: Precision = "fp32") -> None:
        self.victim = victim
        self.shapes = shapes
        self.precision = precision
        self._longest = victim.encoder_fields.max_tokens
        self._pad_id = victim.table.pad_id
        self._waiting: dict[Bucket, list[_Piece]] = {}
        self._rows: dict[Bucket, int] = {}
        self._verdicts: deque[tuple[float, RowRequest]] = deque()

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
        if (lengths == lengths[0]).all():
            self._put(request, types, np.arange(len(ids)), ids, lengths)
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
        length = self.shapes.padded(int(lengths[0]), self._longest)
        ids = ids[:, :length]
        if ids.shape[1] < length:
            ids = np.pad(ids, ((0, 0), (0, length - ids.shape[1])), constant_values=self._pad_id)
        single = request.purpose != "search"
        bucket = Bucket(
            length,
            "fp32" if single else self.precision,
            single and self.shapes.fixed,
            self._apart(int(lengths[0]), length),
        )
        if self.victim.segments:
            row_types = _types(types, lengths, length)
        else:
            row_types = np.empty((len(ids), 0), dtype=np.int8)
        self._queue(_Piece(request, at, ids, lengths, row_types), bucket)

    def _queue(self, piece: _Piece, bucket: Bucket) -> None:
        """Insert a piece in its bucket, verdicts first and then by age of the search."""
        piece.request.bucket = bucket
        insort(
            self._waiting.setdefault(bucket, []),
            piece,
            key=lambda waiting: (waiting.request.purpose != "verdict", waiting.request.order),
        )
        self._rows[bucket] = self._rows.get(bucket, 0) + len(piece.at)

    def full(self) -> Bucket | None:
        """Return a bucket with rows for a full forward pass, None if there is none.

        Of several it is that of the oldest search.
        """
        full = [bucket for bucket, rows in self._rows.items() if rows >= self.shapes.rows(bucket)]
        return min(full, key=lambda bucket: self._waiting[bucket][0].request.order, default=None)

    def fullest(self) -> Bucket | None:
        """Return the bucket that fills most of a forward pass; None if no rows wait."""

        def fill(bucket: Bucket) -> float:
            return self._rows[bucket] / self.shapes.rows(bucket)

        return max(self._rows, key=fill, default=None)

    def overdue(self) -> Bucket | None:
        """Return the bucket of a verdict that has waited too long; None if there is none.

        The bound is ``LONGEST_WAIT_SECONDS``.
        """
        while self._verdicts and self._verdicts[0][1].missing <= 0:
            self._verdicts.popleft()
        if not self._verdicts:
            return None
        since, request = self._verdicts[0]
        return request.bucket if monotonic() - since > LONGEST_WAIT_SECONDS else None

    def forward(self, bucket: Bucket) -> list[RowRequest]:
        """Run one forward pass on rows of that bucket.

        Returns:
            The requests that now have all their answers, in order.
        """
        pieces = self._take(bucket, self.shapes.rows(bucket))
        try:
            self._answer(pieces, bucket)
        # One bad row must not cost the others their answers, so each piece is tried alone. The
        # forward pass keeps its shape, because under fixed shapes another shape could change the
        # last bits. Only where the memory was too small it has fewer rows.
        except Exception as first:
            shape = bucket._replace(small=True) if is_out_of_memory(first) else bucket
            for piece in pieces:
                try:
                    self._answer([piece], shape)
                except Exception as error:
                    piece.request.fail(error)
        # Several pieces may belong to one request, which is reported once.
        requests = dict.fromkeys(piece.request for piece in pieces)
        return [request for request in requests if request.missing <= 0]

    def forget(self, request: RowRequest) -> None:
        """Remove the waiting rows of a request whose search has ended."""
        for bucket in list(self._waiting):
            kept = [piece for piece in self._waiting[bucket] if piece.request is not request]
            self._waiting[bucket], self._rows[bucket] = kept, sum(len(piece.at) for piece in kept)
            self._drop_empty(bucket)

    def _take(self, bucket: Bucket, room: int) -> list[_Piece]:
        """Remove up to ``room`` rows from the front of a bucket; the last piece may be cut."""
        queue, taken = self._waiting[bucket], []
        while queue and room > 0:
            piece = queue.pop(0) if len(queue[0].at) <= room else queue[0].cut(room)
            taken.append(piece)
            room -= len(piece.at)
            self._rows[bucket] -= len(piece.at)
        self._drop_empty(bucket)
        return taken

    def _drop_empty(self, bucket: Bucket) -> None:
        if not self._rows[bucket]:
            del self._rows[bucket], self._waiting[bucket]

    def _answer(self, pieces: list[_Piece], bucket: Bucket) -> None:
        """Run one forward pass on ``pieces`` and pass the answers to their requests."""
        ids = np.concatenate([piece.ids for piece in pieces])
        lengths = np.concatenate([piece.lengths for piece in pieces])
        types = np.concatenate([piece.types for piece in pieces])
        rows, started = len(ids), perf_counter()
        logits = self.logits(ids, lengths, types, bucket)
        share, given = (perf_counter() - started) / rows, 0
        for piece in pieces:
            self._give(piece, logits[given : given + len(piece.at)], share * len(piece.at), bucket)
            given += len(piece.at)

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8],
        bucket: Bucket,
    ) -> NDArray[np.float32]:
        """Run one forward pass of the shape of ``bucket``.

        Args:
            ids: ``(rows, bucket.length)``, at most as many rows as a full forward pass has.
            lengths: ``(rows,)`` tokens of each row without padding.
            types: ``(rows, bucket.length)`` token types.

        Returns:
            Logits ``(rows, classes)``.

        Raises:
            ValueError: the victim's answer has another number of rows, or is not finite.
            RuntimeError: the victim raised ``SystemExit`` or the like.
        """
        rows = len(ids)
        copies = self.shapes.filled(rows, bucket) - rows
        if copies > 0:
            ids, lengths, types = (
                np.concatenate([array, np.repeat(array[:1], copies, axis=0)])
                for array in (ids, lengths, types)
            )
        shown_types = types if self.victim.segments else None
        try:
            answer = self.victim.logits(ids, lengths, shown_types, bucket.precision)
        # A victim can be a user's function, and its SystemExit is not the user's wish to end.
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

    def _give(
        self, piece: _Piece, answers: NDArray[np.float32], seconds: float, bucket: Bucket
    ) -> None:
        """Pass on the reliable answers, and queue the doubtful rows again for fp32."""
        if bucket.precision == "fp32":
            piece.request.fill(piece.at, answers, seconds)
            return
        again = doubtful(answers, piece.request.label)
        piece.request.fill(piece.at[~again], answers[~again], seconds)
        if again.any():
            self._queue(piece.rows(again), Bucket(bucket.length, padded=bucket.padded))


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


def _types(types: TokenTypes, lengths: NDArray[np.int32], padded: int) -> NDArray[np.int8]:
    """Return the token types of rows of those lengths, ``(rows, padded)``, 0 on the padding."""
    rows = np.zeros((len(lengths), padded), dtype=np.int8)
    distinct = set(lengths.tolist())
    for length in distinct:
        # Rows of one length are the common case, and a slice is faster than a mask.
        chosen = slice(None) if len(distinct) == 1 else lengths == length
        rows[chosen, :length] = types.types(length)
    return rows
