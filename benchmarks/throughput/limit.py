"""The limit: the model itself on the rows of the engine, in full batches of one length.

The token ids are tensors already. There are two limits. The proper limit computes what a classifier
needs: the last layer for the first token only, as the engine does. The whole forward computes the
last layer for every token, as a plain call of the model does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench._base.environment import Precision
from robench.models.victim import Victim
from robench.search.shapes import Bucket, Shapes
from robench.search.victim_protocol import ForwardQueue, PendingAnswers

TRIALS = 3
"""Number of timings of each batch size, in turns, before the best size is chosen."""


@dataclass
class Clock:
    """The seconds and rows of one contestant."""

    seconds: float = 0.0
    rows: int = 0

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    def __add__(self, other: Clock) -> Clock:
        return Clock(self.seconds + other.seconds, self.rows + other.rows)


def now(device: str) -> float:
    """Return seconds: CPU time of this process, or clock time after a GPU has finished."""
    if device.startswith("cpu"):
        return process_time()
    torch.cuda.synchronize(device)
    return perf_counter()


@dataclass
class NotingQueue:
    """A victim's queue that tells which rows it gets."""

    queue: ForwardQueue
    note: Callable[[NDArray[Any]], None]

    @property
    def depth(self) -> int:
        """Most forward passes in flight."""
        return self.queue.depth

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingAnswers:
        """Pass a forward pass on."""
        self.note(ids)
        return self.queue.submit(ids, lengths, types, precision)


class Limit:
    """Bare forwards that follow the engine's forwards, so that both see the same machine.

    Two limits may listen at the same time, one inside the other.

    Args:
        victim: the victim of the engine.
        words: length of the texts.
        precision: precision of the bare forwards.
        whole: whether the encoder computes every token of its last layer.

    Attributes:
        batch: number of rows in a bare forward.
        expected: rows per second that can be expected.
        clock: seconds and rows of the bare forwards.
        away: seconds since ``listening`` began that the engine did not use.
    """

    def __init__(
        self, victim: Victim, words: int, precision: Precision = "fp32", whole: bool = False
    ) -> None:
        self.clock, self.away = Clock(), 0.0
        self._victim, self._precision, self._whole = victim, precision, whole
        # As the engine does on a GPU; on a CPU, weights in bf16 are no faster than autocast.
        cast = precision == "bf16" and not victim.device.startswith("cpu")
        self._model = victim.model.in_bf16() if cast else victim.model
        self._autocast = precision == "bf16" and not cast
        self._waiting: dict[int, list[NDArray[np.integer[Any]]]] = {}
        self.batch, self.expected = self._best_batch(words + 2)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Run bare forwards after the victim's answers while the context lasts."""
        self.clock, self.away = Clock(), 0.0
        self._waiting.clear()
        self._answer, make_queue = self._victim.logits, self._victim.forward_queue
        if (queue := make_queue()) is not None:
            self._victim.forward_queue = lambda: NotingQueue(queue, self._note)  # type: ignore
        self._victim.logits = self._logits  # type: ignore[method-assign]
        try:
            yield
        finally:
            self._victim.logits = self._answer  # type: ignore[method-assign]
            self._victim.forward_queue = make_queue  # type: ignore[method-assign]
        # Beside a queue, bare forwards would delay what is in flight, so they come afterwards.
        for length in list(self._waiting):
            self._catch_up(length)

    def _note(self, ids: NDArray[Any]) -> None:
        """Remember the rows of a forward pass that was queued."""
        self._waiting.setdefault(ids.shape[1], []).append(ids)

    def _logits(
        self,
        ids: NDArray[Any],
        lengths: NDArray[Any],
        types: NDArray[Any] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        answers = self._answer(ids, lengths, types, precision)
        began = now(self._victim.device)
        self._waiting.setdefault(ids.shape[1], []).append(ids)
        self._catch_up(ids.shape[1])
        self.away += now(self._victim.device) - began
        return answers

    def _catch_up(self, length: int) -> None:
        """Run bare forwards over the waiting rows of one length, in full batches."""
        waiting = self._waiting[length]
        if sum(map(len, waiting)) < self.batch:
            return
        rows = np.concatenate(waiting)
        full = len(rows) - len(rows) % self.batch
        for start in range(0, full, self.batch):
            self.clock.seconds += self._forward(*self._tensors(rows[start : start + self.batch]))
            self.clock.rows += self.batch
        self._waiting[length] = [rows[full:]] if full < len(rows) else []

    def _tensors(self, rows: NDArray[Any]) -> tuple[Tensor, Tensor]:
        ids = torch.as_tensor(rows.astype(np.int64), device=self._victim.device)
        return ids, (ids != self._victim.table.pad_id).long()

    def _forward(self, ids: Tensor, mask: Tensor) -> float:
        """Return the seconds of one bare forward, until its answers are in the CPU's memory."""
        device = self._victim.device
        began = now(device)
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(device).type, torch.bfloat16, enabled=self._autocast),
        ):
            self._logits_of(ids, mask).float().cpu().numpy()
        return now(device) - began

    def _logits_of(self, ids: Tensor, mask: Tensor) -> Tensor:
        model = self._model
        logits: Tensor = (
            model.classify(model.encoder(input_ids=ids, attention_mask=mask).pooler_output)
            if self._whole
            else model(ids, mask)
        )
        return logits

    def _best_batch(self, length: int) -> tuple[int, float]:
        """Return the batch size of the fastest bare forwards, and their rows per second.

        The candidates are the engine's own size, half of it and twice it.
        """
        own = Shapes.of(self._victim).rows(Bucket(length))
        sizes = sorted({max(1, own // 2), own, own * 2})
        rng = np.random.default_rng(0)
        seconds: dict[int, list[float]] = {size: [] for size in sizes}
        for turn in range(TRIALS + 1):
            for size in sizes:
                rows = self._tensors(rng.integers(1000, 9000, (size, length)))
                took = sum(self._forward(*rows) for _ in range(sizes[-1] // size))
                # The first turn warms up.
                if turn:
                    seconds[size].append(took / (sizes[-1] // size * size))
        best = min(sizes, key=lambda size: median(seconds[size]))
        return best, 1 / median(seconds[best])
