"""Defenses that break a promise in a whole training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Example
from robench.models.classifier import TextClassifier
from robench.training.defense import Trainee
from robench.training.trainee import ModelBetweenEpochs
from violators.base import Sound, breaks, logits_of
from violators.hooks import Ordering


@breaks("learning", r"its victim is right on 50% of an easy task, no better than guessing \(50%\)")
class Stubborn(Sound):
    """Learns that every text is positive."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), torch.ones_like(batch.labels))


@breaks("learning", r"its loss does not fall on an easy task: 0\.\d+, [1-9]\d?\.")
class Ageing(Ordering):
    """Adds to its loss in each epoch."""

    def prepare(self, model: TextClassifier) -> None:
        self.epochs = 0

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        self.epochs += 1
        return super().order(labels, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) + 10 * max(0, self.epochs - 1)


@breaks(
    "learning",
    "its training: it broke: RobenchError: Training 'kit-exploding' on 'toy-opinions' diverged in"
    " epoch 2, step 1: its loss is nan",
)
class Exploding(Ageing):
    """Returns NaN as its loss from the second epoch on."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return Sound.loss(self, model, batch) * (torch.nan if self.epochs > 1 else 1)


class Augmenting(Sound):
    """Base of the violators that add texts, which are some of the training examples again."""

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        return [
            replace(example, id=f"{example.id}+{epoch}") for example in self.chosen(trainee, epoch)
        ]

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return trainee.examples[4 * epoch : 4 * epoch + 4]


@DEFENSES.register("kit-sound-augmenting")
class SoundAugmenting(Augmenting):
    """Adds four texts in each epoch and has options of every kind."""

    class Options(Sound.Options):
        whole: int | None = Field(None, ge=1, lt=9, description="A number or none.")
        mode: Literal["one", "other"] = Field("one", description="One of several words.")
        layers: str = Field("7 9", pattern="^[0-9 ]+$", description="Words.")
        switch: bool = Field(True, description="On or off.")
        pair: tuple[float, float] = Field(
            (0.0, 1.0), description="Two numbers, for which no range can be declared."
        )


@breaks("test", "it reads the test examples while it trains")
class Peeking(Augmenting):
    """Trains on test examples."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return cast(ModelBetweenEpochs, trainee).request.splits.test[:4]


@breaks(
    "dev",
    "with other dev labels it trains other weights: dev selects the epoch and has no other use",
)
class Grasping(Augmenting):
    """Trains on dev examples."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return cast(ModelBetweenEpochs, trainee).request.splits.dev


@breaks(
    "repeated",
    "it draws from a generator that is not seeded, or"
    " keeps something from one training to the next",
)
class Noisy(Sound):
    """Weights its loss by a generator that is not seeded."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * float(np.random.default_rng().uniform(0.5, 1.5))


@breaks(
    "repeated",
    "it draws from a generator that is not seeded, or"
    " keeps something from one training to the next",
)
class Remembering(Sound):
    """Counts steps in a class attribute."""

    steps = 0

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        type(self).steps += 1
        return super().loss(model, batch) * (1 + 0.1 * (self.steps % 10))


@breaks(
    "resumed",
    r"killed and resumed, it ends with other weights than without a kill:"
    r" what must outlive an epoch belongs into modules\(\)",
)
class Running(Sound):
    """Keeps a running mean of its loss outside the checkpoint."""

    mean = 0.0

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        value = super().loss(model, batch)
        self.mean = 0.9 * self.mean + 0.1 * float(value.detach())
        return value * (1 + self.mean)


@breaks(
    "resumed",
    r"killed and resumed, it adds other texts than without a kill:"
    r" augment\(\) must follow from the seed and the epoch alone",
)
class Tallying(Augmenting):
    """Counts its own calls outside the checkpoint."""

    calls = 0

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        self.calls += 1
        return trainee.examples[4 * self.calls : 4 * self.calls + 4]


@breaks("pairs", "its training: it broke: KeyError: 'text'")
class Single(Augmenting):
    """Assumes that every task has one field."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return [
            replace(example, fields={"text": example.fields["text"].upper()})
            for example in super().chosen(trainee, epoch)
        ]
