"""The order in which training examples are seen: shuffled, and bucketed by length so that little is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

POOL = 32
"""Batches whose examples are sorted by length together."""


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Every example once, in batches of like length; the last one may be smaller.

    Args:
        lengths: tokens of each example.
        batch_size: examples a batch.
        rng: decides the order; nothing else does.
    """
    sizes = np.asarray(lengths)
    order = rng.permutation(len(sizes))
    pools = [
        order[start : start + POOL * batch_size]
        for start in range(0, len(order), POOL * batch_size)
    ]
    batches = [
        pool[np.argsort(sizes[pool], kind="stable")][start : start + batch_size]
        for pool in pools
        for start in range(0, len(pool), batch_size)
    ]
    for index in rng.permutation(len(batches)):
        yield batches[index].tolist()


def balanced_batches(
    labels: Sequence[int], lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Batches with the same number of examples of every class, class after class (RIFT paper, Algorithm 1), and of like length (not in the paper).

    Each holds ``batch_size // classes`` examples a class (at least one, at most as many as the smallest class has). The epoch ends with the
    smallest class; what is left of the others waits for the next shuffle. Every batch is exactly balanced: the release's last one is not.
    """
    groups = [np.flatnonzero(np.asarray(labels) == label) for label in np.unique(labels)]
    smallest = min(len(group) for group in groups)
    each = min(max(1, batch_size // len(groups)), smallest)
    count = smallest // each
    sizes = np.asarray(lengths)
    shuffled = [rng.permutation(group)[: count * each] for group in groups]
    batches = [
        batch
        for start in range(0, count, POOL)
        for batch in _zip_by_length(
            shuffled, sizes, slice(start * each, min(start + POOL, count) * each), each
        )
    ]
    for index in rng.permutation(len(batches)):
        yield batches[index].tolist()


def _zip_by_length(
    groups: Sequence[NDArray[np.intp]], sizes: NDArray[np.int_], window: slice, each: int
) -> list[NDArray[np.intp]]:
    """Sort one window of every class by length and join the k-th pieces, so that the classes of a batch are of like length too."""
    pieces = [
        group[window][np.argsort(sizes[group[window]], kind="stable")].reshape(-1, each)
        for group in groups
    ]
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
