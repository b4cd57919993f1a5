"""The answers of a smoothed victim from those of its classifier to random variants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.models.moving import on_device
from robench.models.probabilities import log_softmax
from robench.models.smoother import Smoother, Variants

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier
    from robench.text.encoding import EncodedText

TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 32768}
"""Tokens of a forward pass over variants of one text; they bound the memory."""


def mean_logits(answers: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the logarithms of the mean probabilities of several answers.

    A mean of probabilities gives a search more to follow than votes do. It is computed from
    logarithms, so that a probability that rounds to 0 still has one.

    Args:
        answers: logits ``(batch, classes)``, one array for each variant.
    """
    total: NDArray[np.float64] | None = None
    count = 0
    for logits in answers:
        count += 1
        log_probs = log_softmax(logits)
        total = log_probs if total is None else np.logaddexp(total, log_probs)
    assert total is not None
    return np.asarray(total - np.log(count), dtype=np.float32)


def vote_logits(answers: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the logarithms of the shares of variants that each label gets.

    One vote is added to each label, because 0 has no logarithm. It changes no order.

    Args:
        answers: logits ``(batch, classes)``, one array for each variant.
    """
    votes: NDArray[np.float64] | None = None
    for logits in answers:
        if votes is None:
            votes = np.ones(logits.shape)
        votes[np.arange(len(logits)), logits.argmax(axis=1)] += 1
    assert votes is not None
    return np.asarray(np.log(votes / votes.sum(axis=1, keepdims=True)), dtype=np.float32)


def counted(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how often each class has the largest logit: ``(draws, classes) -> (classes,)``."""
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]).astype(np.int64)


def mixture_noise(
    model: TextClassifier, variants: Variants, weights: Tensor | None = None
) -> Tensor:
    """Return what turns the word vectors of rows into mixtures, ``(rows, tokens, word size)``.

    It is the mixture minus the word's own vector, for ``TextClassifier.features_under_noise``.

    Args:
        model: the classifier.
        variants: with slots and weights.
        weights: take these instead, which may carry gradients; ``(rows, tokens, slots)``.
    """
    assert variants.slots is not None
    assert variants.weights is not None
    table = model.encoder.get_input_embeddings()
    device = table.weight.device
    if weights is None:
        weights = on_device(torch.as_tensor(variants.weights), device)
    slots = np.ascontiguousarray(variants.slots)
    # Only positions with neighbours are mixed. Slot by slot, so that a position's sum has the
    # same order whatever else is in the batch.
    mixed = (slots != slots[:, :, :1]).any(-1).nonzero()
    rows, columns = (on_device(torch.from_numpy(part), device) for part in mixed)
    chosen = on_device(torch.from_numpy(slots[mixed]), device)
    shares = weights[rows, columns]
    own = table(chosen[:, 0])
    moved = torch.zeros_like(own)
    for slot in range(1, slots.shape[2]):
        moved = moved + shares[:, slot, None] * (table(chosen[:, slot]) - own)
    noise = own.new_zeros((*slots.shape[:2], own.shape[-1]))
    filled: Tensor = noise.index_put((rows, columns), moved)
    return filled


def single_rows(
    smoother: Smoother, row: EncodedText, draws: int, seed: int, device: str
) -> Iterator[tuple[Variants, NDArray[np.int32]]]:
    """Yield variants of one text, as many to a forward pass as ``TOKENS_AT_ONCE`` allows.

    Every forward pass has the same number of rows, so the last one may hold more than is needed.

    Returns:
        The variants, and their lengths ``(rows,)``.
    """
    length = len(row.ids)
    most = TOKENS_AT_ONCE["cpu" if device.startswith("cpu") else "cuda"]
    together = max(8, min(128, most // length))
    ids = np.asarray(row.ids, dtype=np.int64)[None]
    drawn = smoother.variants(ids, np.array([length]), seed)
    for _ in range(0, draws, together):
        block = list(islice(drawn, together))
        yield _joined(block), np.full(together, length, dtype=np.int32)


def _joined(block: list[Variants]) -> Variants:
    """Put variants of one row below each other."""
    ids = np.concatenate([one.ids for one in block])
    slots = [one.slots for one in block if one.slots is not None]
    weights = [one.weights for one in block if one.weights is not None]
    if not slots:
        return Variants(ids)
    return Variants(ids, np.concatenate(slots), np.concatenate(weights))
