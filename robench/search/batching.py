"""Pooling: rows of many searches become full forwards of one length each.

The same answer whatever the packing. A row's padded length is a function of the row alone, and a
forward pass has at least ``Shapes.floor`` rows, because a CPU takes other kernels for one to three
rows. Whether more is needed depends on the processor, the precision and the model's widths. So
``robench.search.packing`` tries the model and chooses the ``Shapes``. Under fixed shapes, which a
GPU always needs, all forward passes of one kind have the same number of rows.

A pool that asks in bf16 queues every doubtful answer (``robench.search.precision``) once more, for a forward in fp32, and only that answer is given.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.search.precision import doubtful

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim, TokenTypes

Purpose = Literal["clean", "search", "verdict"]
"""What a request is asked for: the clean prediction before a search, the search itself, the verdict after it."""
LONGEST_WAIT_SECONDS = 4.0
"""Seconds after which a verdict's row goes without company, though a forward of eight costs as much: a trial that is nearly done shall not be lost."""


class Bucket(NamedTuple):
    """Rows that can share a forward pass.

    Attributes:
        length: tokens of each row, padding included.
        precision: of the forward pass.
        small: whether the forward pass has ``Shapes.floor`` rows whatever the others have.
        padded: whether every row has padding. Encoders compute attention in another way where a
            row is padded, so under fixed shapes padded rows and whole rows go apart. Elsewhere
            this is False for all rows.
    """

    length: int
    precision: Precision = "fp32"
    small: bool = False
    padded: bool = False


@dataclass(frozen=True)
class Shapes:
    """Which shapes forwards have.

    Attributes:
        tokens: tokens of a full forward. A CPU core is busy at about 2,400 (100 rows of 24, 24 of 100, 9 of 250) and wins nothing beyond.
        most: rows at most, however short.
        floor: rows at least; missing ones are copies of the first row.
        fixed: whether every forward is filled up to its full number of rows. Single rows (clean texts, verdicts) then go by themselves, ``floor`` at a time.
        exact: whether rows are never padded. With one token a word all rows of an example are equally long, so forwards fill up all the same, and
            encoders leave the attention mask away where nothing is padded, which saves 10 % and more at 250 tokens.
    """

    tokens: int = 2400
    most: int = 128
    floor: int = 8
    fixed: bool = False
    exact: bool = False

    @classmethod
    def of(cls, victim: SearchVictim) -> Shapes:
        """The shapes that suit a victim and its device. The figures for GPUs are estimates."""
        if victim.device.startswith("cpu"):
            return cls(exact=victim.table.mode == "word")
        return cls(tokens=32768, most=512, fixed=True)

    def padded(self, length: int, longest: int) -> int:
        """What a row of ``length`` tokens is padded to: up to 32 nothing, then the next multiple of 2, 4, 8, ``longest`` at most; 1/16 at most is padding."""
        step = 1 if self.exact or length <= 32 else 2 if length <= 64 else 4 if length <= 128 else 8
        return min(-(-length // step) * step, longest)

    def rows(self, bucket: Bucket) -> int:
        """Rows of a full forward."""
        if bucket.small:
            return self.floor
        rows = max(self.floor, min(self.most, self.tokens // bucket.length))
        # Some libraries take another kernel for the rows that are left over in blocks of four or
        # eight, so that a row's place would matter.
        return rows - rows % self.floor if self.fixed else rows

    def filled(self, rows: int, bucket: Bucket) -> int:
        """Rows that a forward with ``rows`` real ones is filled up to."""
        return self.rows(bucket) if self.fixed else max(rows, self.floor)


class RowRequest:
    """Rows that one search waits for.

    Attributes:
        owner: whose search it is.
        order: when that search began; the older goes first, so that searches end and their memory with them, and verdicts before all others.
        label: the true class, by which a bf16 pool tells which answers are clear; None where there is none.
        purpose: only a search is ever answered in bf16.
        bucket: where its rows, or the last of them, were queued.
        answers: ``(rows, classes)``, filled as forwards come back.
        missing: rows without an answer yet.
        seconds: this request's share of the forwards so far.
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
        """Take the answers of rows ``at``."""
        if not len(self.answers):
            self.answers = np.empty((self.rows, logits.shape[1]), dtype=np.float32)
        self.answers[at] = logits
        self.missing -= len(at)
        self.seconds += seconds

    def fail(self, failure: Exception) -> None:
        """The victim broke on a row: nothing more is waited for."""
        self.failure = failure
        self.missing = 0


@dataclass(slots=True)
class _Piece:
    """Rows of one request that share a padded length.

    ``at``: their places in it; ids ``(rows, tokens)``, lengths ``(rows,)``, types ``(rows, tokens)``, or ``(rows, 0)`` where the victim does not read them.
    """

    request: RowRequest
    at: NDArray[np.intp]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    types: NDArray[np.int8]

    def cut(self, rows: int) -> _Piece:
        """Take the first ``rows`` rows off."""
        head = self.rows(slice(rows))
        self.at, self.ids, self.lengths, self.types = (
            self.at[rows:],
            self.ids[rows:],
            self.lengths[rows:],
            self.types[rows:],
        )
        return head

    def rows(self, which: slice | NDArray[np.bool_]) -> _Piece:
        """Some of the rows."""
        return _Piece(
            self.request, self.at[which], self.ids[which], self.lengths[which], self.types[which]
        )


class Pool:
    """Waiting rows by bucket, and the forwards that answer them."""

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
        """Queue the rows of ``request``: ids ``(request.rows, tokens)``, lengths ``(request.rows,)``."""
        if request.purpose == "verdict":
            self._verdicts.append((monotonic(), request))
        if (lengths == lengths[0]).all():  # as in every request of the one-token-a-word protocol
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
        """Whether a row of ``length`` tokens must go among padded rows only."""
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
        read = (
            _types(types, lengths, length)
            if self.victim.segments
            else np.empty((len(ids), 0), dtype=np.int8)
        )
        self._queue(_Piece(request, at, ids, lengths, read), bucket)

    def _queue(self, piece: _Piece, bucket: Bucket) -> None:
        piece.request.bucket = bucket
        insort(
            self._waiting.setdefault(bucket, []),
            piece,
            key=lambda waiting: (waiting.request.purpose != "verdict", waiting.request.order),
        )
        self._rows[bucket] = self._rows.get(bucket, 0) + len(piece.at)

    def full(self) -> Bucket | None:
        """A bucket with rows for a full forward, that of the oldest search; None when there is none."""
        full = (bucket for bucket, rows in self._rows.items() if rows >= self.shapes.rows(bucket))
        return min(full, key=lambda bucket: self._waiting[bucket][0].request.order, default=None)

    def fullest(self) -> Bucket | None:
        """The bucket whose waiting rows fill most of a forward; None when nothing waits."""
        return max(
            self._rows,
            key=lambda bucket: self._rows[bucket] / self.shapes.rows(bucket),
            default=None,
        )

    def overdue(self) -> Bucket | None:
        """The bucket of a verdict that has waited for ``LONGEST_WAIT_SECONDS``; None when there is none."""
        while self._verdicts and self._verdicts[0][1].missing <= 0:
            self._verdicts.popleft()
        return (
            self._verdicts[0][1].bucket
            if self._verdicts and monotonic() - self._verdicts[0][0] > LONGEST_WAIT_SECONDS
            else None
        )

    def forward(self, bucket: Bucket) -> list[RowRequest]:
        """Answer up to one full forward of that bucket; returns the requests with nothing missing any more, in order."""
        pieces = self._take(bucket, self.shapes.rows(bucket))
        try:
            self._answer(pieces, bucket)
        except Exception:
            # One bad row, or too little memory, must not cost the others their answer: each piece by itself, and not filled up to a full forward.
            for piece in pieces:
                try:
                    self._answer([piece], bucket._replace(small=True))
                except Exception as error:
                    piece.request.fail(error)
        requests = dict.fromkeys(piece.request for piece in pieces)
        return [request for request in requests if request.missing <= 0]

    def forget(self, request: RowRequest) -> None:
        """Drop what still waits of a request (its search has ended)."""
        for bucket in list(self._waiting):
            kept = [piece for piece in self._waiting[bucket] if piece.request is not request]
            self._waiting[bucket], self._rows[bucket] = kept, sum(len(piece.at) for piece in kept)
            self._drop_empty(bucket)

    def _take(self, bucket: Bucket, room: int) -> list[_Piece]:
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
        """Make one forward pass of the shape that ``bucket`` has; returns ``(rows, classes)``.

        Args:
            ids: ``(rows, bucket.length)``, at most as many rows as a full forward pass has.
            lengths: ``(rows,)`` tokens of each row without padding.
            types: ``(rows, bucket.length)`` token types.

        Raises:
            ValueError: the victim's answer has another number of rows, or is not finite.
        """
        rows = len(ids)
        copies = self.shapes.filled(rows, bucket) - rows
        if copies > 0:
            ids, lengths, types = (
                np.concatenate([array, np.repeat(array[:1], copies, axis=0)])
                for array in (ids, lengths, types)
            )
        logits = np.asarray(
            self.victim.logits(
                ids, lengths, types if self.victim.segments else None, bucket.precision
            ),
            dtype=np.float32,
        )[:rows]
        if logits.shape[0] != rows or not np.isfinite(logits).all():
            raise ValueError(
                f"the victim answered {rows} rows with {logits.shape[0]}, or with numbers that "
                "are not finite"
            )
        return logits

    def _give(
        self, piece: _Piece, answers: NDArray[np.float32], seconds: float, bucket: Bucket
    ) -> None:
        """Hand out the answers that stand; the others are queued once more."""
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
    """Logits of single rows (token types, ids ``(1, tokens)``, lengths ``(1,)``) -> ``(rows, classes)``, in fp32, in the shapes that a search would use.

    Raises:
        Exception: whatever the victim raised.
    """
    pool, requests = Pool(victim, Shapes.of(victim)), []
    for types, ids, lengths in rows:
        requests.append(RowRequest(None, 1))
        pool.put(requests[-1], types, ids, lengths)
    while (bucket := pool.fullest()) is not None:
        pool.forward(bucket)
    for request in requests:
        if request.failure is not None:
            raise request.failure
    return np.concatenate([request.answers for request in requests])


def _types(types: TokenTypes, lengths: NDArray[np.int32], padded: int) -> NDArray[np.int8]:
    """Token types of rows of those lengths, ``(rows, padded)``; zeros on the padding."""
    rows = np.zeros((len(lengths), padded), dtype=np.int8)
    distinct = set(lengths.tolist())
    for length in distinct:
        rows[slice(None) if len(distinct) == 1 else lengths == length, :length] = types.types(
            length
        )
    return rows
