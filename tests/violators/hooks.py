"""Defenses with wrong batches, optimisers, shares of a batch, or models left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robench import Batch
from robench.models.classifier import TextClassifier
from robench.training.setup import adamw
from violators.base import Sound, breaks, logits_of


class Ordering(Sound):
    """Base of the violators with batches of their own."""

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        for chosen in np.array_split(self.order(labels, rng), max(1, len(labels) // batch_size)):
            yield chosen.tolist()

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return rng.permutation(len(labels))


@breaks(
    "batches",
    r"batches\(\) of 20 examples differ with the same rng: it draws from another generator",
)
class Shuffling(Ordering):
    """Shuffles with numpy's global generator."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return np.random.permutation(len(labels))


@breaks("batches", r"batches\(\) makes no batch, or an empty one, of 20 examples of one class")
class Choosy(Ordering):
    """Makes batches of the negative examples alone."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return np.flatnonzero(np.asarray(labels) == 0)


@breaks("batches", r"batches\(\) names an index that none of 20 examples has")
class Counting(Ordering):
    """Counts the examples from 1."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return rng.permutation(len(labels)) + 1


@breaks(
    "optimizer",
    r"its optimiser leaves out head\.0\.weight, head\.0\.bias, head\.2\.weight and 1 more",
)
class Headless(Sound):
    """Builds its optimiser from the encoder's parameters alone."""

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        return adamw([dict(groups[0])])


@breaks(
    "shares",
    "2 processes that share 7 texts do not make the loss of one process:"
    " it must not say parallel = True",
)
class Summing(Sound):
    """Sums over the texts of a batch, but says that processes may share it."""

    parallel = True

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), batch.labels, reduction="sum")


@breaks(
    "saved",
    r"the model's layers are not those of a plain one: head\.1 \(GELU\), head\.1 \(ReLU\)\."
    r" Put back there what prepare\(\) swapped",
)
class Swapping(Sound):
    """Leaves another activation in the head."""

    def prepare(self, model: TextClassifier) -> None:
        model.head[1] = nn.GELU()


@breaks("saved", r"the model's tensors are not those of a plain one: head\.shift")
class Adding(Sound):
    """Leaves a buffer in the head."""

    def prepare(self, model: TextClassifier) -> None:
        model.head.register_buffer("shift", torch.zeros(1))


@breaks("saved", "the loaded victim gives other answers than the one that was saved")
class Hooking(Sound):
    """Leaves a forward hook, which is not saved."""

    def prepare(self, model: TextClassifier) -> None:
        model.head.register_forward_hook(lambda module, inputs, output: output * 2)
