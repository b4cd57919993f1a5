"""The order of training examples: shuffled, and grouped by length so that padding is short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

POOL = 32
"""Number of batches whose examples are sorted by length together."""


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield every example once, in batches of similar length. One batch may be smaller.

    Args:
        lengths: number of tokens of each example.
        batch_size: examples in a batch.
        rng: the only source of randomness.
    """
    sizes = np.asarray(lengths)
    order = rng.permutation(len(sizes))
    batches = []
    # Sorting all examples would give the same batches in every epoch, so only pools are sorted.
    for pool_start in range(0, len(order), POOL * batch_size):
        pool = order[pool_start : pool_start + POOL * batch_size]
        by_length = pool[np.argsort(sizes[pool], kind="stable")]
        for start in range(0, len(pool), batch_size):
            batches.append(by_length[start : start + batch_size])
    for index in rng.permutation(len(batches)):
        yield batches[index].tolist()


def balanced_batches(
    labels: Sequence[int], lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield batches with equally many examples of every class (RIFT paper, Algorithm 1).

    Within a batch, one class follows the other. Its examples have similar lengths, which is not in
    the paper. Each class has ``batch_size // classes`` examples in a batch: at least one, and at
    most as many as the smallest class has.

    The epoch ends with the smallest class; the remaining examples of the others wait for the next
    shuffle. Every batch is exactly balanced, while the last batch of RIFT's release is not.
    """
    groups = [np.flatnonzero(np.asarray(labels) == label) for label in np.unique(labels)]
    smallest = min(len(group) for group in groups)
    each = min(max(1, batch_size // len(groups)), smallest)
    count = smallest // each
    sizes = np.asarray(lengths)
    shuffled = [rng.permutation(group)[: count * each] for group in groups]
    batches = []
    for start in range(0, count, POOL):
        window = slice(start * each, min(start + POOL, count) * each)
        batches += _zip_by_length(shuffled, sizes, window, each)
    for index in rng.permutation(len(batches)):
        yield batches[index].tolist()


def _zip_by_length(
    groups: Sequence[NDArray[np.intp]], sizes: NDArray[np.int_], window: slice, each: int
) -> list[NDArray[np.intp]]:
    """Return the balanced batches of one window.

    Each class's window is sorted by length and cut into pieces. The k-th pieces of all classes
    make a batch, so that its classes have similar lengths.
    """
    pieces = []
    for group in groups:
        chosen = group[window]
        by_length = chosen[np.argsort(sizes[chosen], kind="stable")]
        pieces.append(by_length.reshape(-1, each))
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
