"""Choose shapes of forward passes in which a row's answer does not depend on the other rows.

The engine promises the same trials for any packing: any number of workers, any order of the
examples, an interrupted and resumed run. Whether a machine can keep this promise for forward passes
of any number of rows depends on its matrix library, the precision and the model's widths
(``robench._base.arithmetic``). So the model is tested before the search, in these shapes:

1. The usual shapes have any number of rows from ``Shapes.floor`` up. They are fast, and they are
   enough on most CPUs.
2. In fixed shapes all forward passes of one length have the same number of rows, so the library
   uses one kernel for all. GPUs need them. They were enough wherever the usual shapes were not.
3. With one row in each forward pass there are no other rows to depend on. This is slow.

The first shapes without a difference are used. The test is the same in every run of one victim,
because its rows are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench._base import arithmetic
from robench._base.arithmetic import one_thread, rows_agree
from robench._base.environment import Precision
from robench.search.batching import Pool
from robench.search.shapes import Bucket, Shapes
from robench.search.victim_protocol import SearchVictim

LENGTHS = (9, 23, 61)
"""Row lengths of the test, in tokens; the victim's longest row is tested as well.

They are odd, so that the numbers of rows and tokens are not multiples of a kernel's blocks.
"""
LONGEST_TRIED = 512
"""Longest row of the test, in tokens; some models take rows that are far longer than any text."""
MOST_ROWS = 20
"""Rows at most of a forward pass in which a model is tried, where shapes are not fixed."""
_chosen: dict[tuple[Any, ...], Shapes] = {}
"""Shapes chosen in this process. Kernels depend on a model's widths, not on its weights."""


def choose_shapes(
    victim: SearchVictim, precision: Precision, vocabulary: int
) -> tuple[Shapes, str | None]:
    """Choose the shapes of a search over ``victim``.

    Args:
        precision: of the search; fp32 is tested as well, because verdicts are in fp32.
        vocabulary: number of token ids that the victim knows (>= 2).

    Returns:
        The shapes, and a sentence for the user if they are slower than the usual ones. Each
        process gives this sentence once; otherwise it is None.
    """
    usual = Shapes.of(victim)
    # A smoothed victim makes its forward passes in the same shapes as its classifier, one by one.
    queued = getattr(victim, "smoother", None) is None
    victim = getattr(victim, "unsmoothed", victim)
    # A function gets texts, and rows are not how it computes.
    if victim.table.mode == "text":
        return usual, None
    longest = victim.encoder_fields.max_tokens
    key = (*_signature(victim), victim.device, precision, usual, longest, vocabulary, queued)
    if key in _chosen:
        return _chosen[key], None
    try:
        with one_thread():
            _chosen[key] = next(
                shapes
                for shapes in _candidates(usual)
                if _independent(Pool(victim, shapes, precision, queued=queued), vocabulary)
            )
    # A victim that cannot answer, or not in this memory, is for the search to judge: there each
    # example ends in an ERROR of its own.
    except Exception:
        return usual, None
    return _chosen[key], _remark(usual, _chosen[key])


def _candidates(usual: Shapes) -> Iterator[Shapes]:
    """Yield shapes from the fastest to the safest; the last one needs no test."""
    yield usual
    if not usual.fixed:
        yield replace(usual, fixed=True)
    yield replace(usual, most=1, floor=1, fixed=True)


def _remark(usual: Shapes, chosen: Shapes) -> str | None:
    if chosen == usual:
        return None
    how = "one text each" if chosen.most == 1 else "a fixed number of texts each"
    return (
        "On this processor a text's last bits depend on the texts beside it, so forward passes "
        f"take {how}: the trials stay the same for any number of workers, but take longer."
    )


def _signature(victim: SearchVictim) -> tuple[Any, ...]:
    """Return what determines a victim's kernels: its parameters' shapes, or its identity."""
    model = getattr(victim, "model", None)
    if model is None or not hasattr(model, "named_parameters"):
        return (victim,)
    shapes = tuple((name, tuple(one.shape)) for name, one in model.named_parameters())
    return (type(model), shapes)


def _independent(pool: Pool, vocabulary: int) -> bool:
    """Return whether every row's answer is the same, bit for bit, beside any other rows."""
    if pool.shapes.most == 1:
        return True
    buckets = list(_buckets(pool))
    return _products_agree(pool, buckets) and all(
        _same_beside_any_rows(pool, bucket, vocabulary) for bucket in buckets
    )


def _products_agree(pool: Pool, buckets: Sequence[Bucket]) -> bool:
    """Return whether matrix products of each linear layer's widths agree for all numbers of rows.

    A layer has one row for each token, and the last layer one for each text. In bf16 a difference
    shows in few texts, because results are rounded. ``rows_agree`` makes it show in one product.
    """
    modules = getattr(getattr(pool.victim, "model", None), "modules", None)
    if modules is None:
        return True
    named = ((getattr(one, "in_features", 0), getattr(one, "out_features", 0)) for one in modules())
    widths = sorted({width for width in named if all(width)})
    for precision in sorted({bucket.precision for bucket in buckets}):
        rows = {pool.shapes.rows(bucket) for bucket in buckets if bucket.precision == precision}
        tokens = {
            pool.shapes.rows(bucket) * bucket.length
            for bucket in buckets
            if bucket.precision == precision
        }
        # Under fixed shapes each of these is a product of its own; otherwise the largest one is
        # compared with all smaller ones.
        wholes = sorted(rows | tokens) if pool.shapes.fixed else [max(tokens)]
        counts = () if pool.shapes.fixed else arithmetic.COUNTS
        trial = partial(rows_agree, precision=precision, device=pool.victim.device)
        if not all(trial(*width, whole, counts) for width in widths for whole in wholes):
            return False
    return True


def _buckets(pool: Pool) -> Iterator[Bucket]:
    """Yield the kinds of forward passes to test, the cheap ones first."""
    longest = min(pool.victim.encoder_fields.max_tokens, LONGEST_TRIED)
    tried = {pool.shapes.padded(min(length, longest), longest) for length in (*LENGTHS, longest)}
    for length in sorted(tried):
        yield Bucket(length)
        if pool.precision != "fp32":
            yield Bucket(length, pool.precision)
        if pool.shapes.fixed:
            yield Bucket(length, small=True)


def _same_beside_any_rows(pool: Pool, bucket: Bucket, vocabulary: int) -> bool:
    # Fixed shapes are tried as they are. Of the others a few rows show what many would show, and a
    # large model answers them in seconds.
    rows = pool.shapes.rows(bucket)
    count = rows if pool.shapes.fixed else min(rows, MOST_ROWS)
    random = np.random.default_rng(bucket.length)
    ids = random.integers(0, vocabulary, size=(count, bucket.length)).astype(np.int32)
    whole = np.full(count, bucket.length, dtype=np.int32)
    if not _same_in_any_part(pool, bucket, ids, whole, random):
        return False
    if pool.shapes.exact or bucket.length < 2:
        return True
    # Encoders compute attention in another way if a row of the forward pass is padded. Fixed
    # shapes keep padded rows and whole rows apart; otherwise they may share a forward pass.
    if pool.shapes.fixed:
        return _same_in_any_part(pool, bucket._replace(padded=True), ids, whole - 1, random)
    mixed = whole - (np.arange(count) >= count // 2)
    alone = _logits(pool, bucket, ids, whole)[: count // 2]
    beside_padded = _logits(pool, bucket, ids, mixed)[: count // 2]
    return np.array_equal(alone, beside_padded) and _same_in_any_part(
        pool, bucket, ids, mixed, random
    )


def _same_in_any_part(
    pool: Pool,
    bucket: Bucket,
    ids: NDArray[np.int32],
    lengths: NDArray[np.int32],
    random: np.random.Generator,
) -> bool:
    """Return whether a full forward pass agrees with a reordered one and with parts of it."""
    count = len(ids)
    whole = _logits(pool, bucket, ids, lengths)
    order = random.permutation(count)
    if not np.array_equal(_logits(pool, bucket, ids[order], lengths[order]), whole[order]):
        return False
    # A few rows from the end: their number, their places and the other rows all change.
    floor = pool.shapes.floor
    few_rows = {1} if pool.shapes.fixed or count == floor else {1, floor + 1, count - 1}
    for few in sorted(few_rows):
        if not 0 < few < count:
            continue
        if not np.array_equal(_logits(pool, bucket, ids[-few:], lengths[-few:]), whole[-few:]):
            return False
    return True


def _logits(
    pool: Pool, bucket: Bucket, ids: NDArray[np.int32], lengths: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the logits ``(rows, classes)`` of a forward pass of the bucket's shape."""
    return pool.logits(ids, lengths, np.zeros(ids.shape, dtype=np.int8), bucket)
