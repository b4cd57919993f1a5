"""Batches for the steps of a training, made while the device still works on earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

from robench.models.mixtures import pack_substitutes

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.training.data import EncodedExamples

AHEAD = 3
"""Batches that are made before they are needed. One with substitutes has some megabytes."""


def feed(
    examples: EncodedExamples,
    chosen: Sequence[Sequence[int]],
    device: torch.device | str,
    *,
    substitutes: bool,
    share: Callable[[Batch], Batch] = lambda batch: batch,
) -> Iterator[Batch]:
    """Yield the batches of ``chosen`` on ``device``, with their substitutes packed.

    On a GPU a thread makes the next ones meanwhile, in pinned memory, and they are copied without
    waiting. A CPU has nothing to do meanwhile, so each batch is made when it is needed.

    Args:
        examples: where the batches come from.
        chosen: the indices of each batch.
        device: where the tensors are put.
        substitutes: also add the substitution slots.
        share: takes a process's share of a batch in main memory.
    """

    def made(indices: Sequence[int]) -> Batch:
        batch = share(examples.batch(indices, substitutes=substitutes))
        return batch.with_packed(pack_substitutes(batch)) if substitutes else batch

    if torch.device(device).type == "cpu":
        for indices in chosen:
            yield made(indices).to(device)
        return
    with ThreadPoolExecutor(1, "robench-batches", _use, (torch.device(device),)) as thread:
        waiting: deque[Future[Batch]] = deque()
        try:
            for indices in chosen:
                waiting.append(thread.submit(lambda which: made(which).pinned(), indices))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result().to(device)
            while waiting:
                yield waiting.popleft().result().to(device)
        finally:
            for future in waiting:
                future.cancel()


def _use(device: torch.device) -> None:
    """Let this thread pin memory for its own GPU; it would open the first one otherwise."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
