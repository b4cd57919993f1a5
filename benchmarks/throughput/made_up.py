"""Texts of made-up tokens with the lengths of film reviews, and with substitutes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from robench import Batch
from robench.training.data import NO_SUBSTITUTES, NO_TOKEN, EncodedExamples

SUBSTITUTABLE, SUBSTITUTES = 0.45, 8
"""Share of the positions that have substitutes, and the most that a position has."""


def review_lengths(tokens: int, number: int, rng: np.random.Generator) -> Any:
    """Return lengths in tokens; a quarter of them are the maximum ``tokens``."""
    drawn = tokens * rng.lognormal(np.log(0.66), 0.6, number)
    return np.clip(drawn, 4, tokens).astype(int)


def make_batch(lengths: Any, rng: np.random.Generator, vocabulary: int) -> Batch:
    """Make texts of made-up tokens in main memory; each half of the rows has one label."""
    rows, tokens = len(lengths), int(lengths.max())
    mask = np.arange(tokens) < lengths[:, None]
    ids = rng.integers(5, vocabulary, (rows, tokens)) * mask
    counts = (
        rng.integers(1, SUBSTITUTES + 1, (rows, tokens))
        * (rng.random((rows, tokens)) < SUBSTITUTABLE)
        * mask
    )
    counts[:, 0] = 0
    allowed = np.arange(SUBSTITUTES + 1) <= counts[:, :, None]
    slots = np.where(allowed, rng.integers(5, vocabulary, allowed.shape), ids[:, :, None])
    slots[:, :, 0] = ids

    parts = (ids, mask.astype(np.int64), np.zeros_like(ids), np.arange(rows) * 2 // rows)
    texts, attended, types, labels = map(torch.as_tensor, parts)
    return Batch(texts, attended, types, labels, torch.as_tensor(slots), torch.as_tensor(allowed))


class MadeUpSubstitutes:
    """A table of substitutes of made-up words, as ``EncodedExamples`` uses it."""

    def __init__(self, words: int, rng: np.random.Generator, vocabulary: int) -> None:
        counts = rng.integers(1, SUBSTITUTES + 1, (words, 1))
        found = rng.integers(5, vocabulary, (words, SUBSTITUTES))
        self.array = np.where(np.arange(SUBSTITUTES) < counts, found, NO_TOKEN).astype(np.int32)
        self.array[NO_SUBSTITUTES] = NO_TOKEN


def make_examples(tokens: int, number: int, vocabulary: int) -> EncodedExamples:
    """Make encoded examples of made-up tokens, of the lengths of film reviews."""
    rng = np.random.default_rng(0)
    lengths = review_lengths(tokens, number, rng)
    words = 2000
    rows = [
        rng.integers(1, words, length) * (rng.random(length) < SUBSTITUTABLE) for length in lengths
    ]
    return EncodedExamples(
        ids=[rng.integers(5, vocabulary, length).astype(np.int32) for length in lengths],
        types=[np.zeros(length, np.int8) for length in lengths],
        substitute_rows=[row.astype(np.int32) for row in rows],
        labels=np.arange(number) % 2,
        substitutes=MadeUpSubstitutes(words, rng, vocabulary),  # type: ignore[arg-type]
        pad_id=0,
    )
