"""Attacks, requests and helpers for the tests of training on adversarial texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from victim_cases import BAD, GOOD, planted_splits, read_json, request

from robench import (
    ATTACKS,
    Attack,
    Choice,
    FreeAttack,
    Oracle,
    SearchSpace,
    TextOracle,
)
from robench._base.errors import UsageError
from robench.methods.augmentation import AugmentationOptions
from robench.training.loop import TrainingProgress
from robench.training.request import FitRequest

SEEN: list[tuple[str, ...]] = []
"""The texts that ``Swapping`` received."""
ANSWERS: list[Any] = []
"""The oracle's answers to ``Swapping``."""
THREADS: set[int] = set()
"""torch's number of threads while ``Swapping`` searched."""


@ATTACKS.register("test-swapping")
class Swapping(Attack):
    """Substitutes every word by its first option, whether or not that fools."""

    access = "labels"

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        SEEN.append(space.words)
        THREADS.add(torch.get_num_threads())
        choice = np.minimum(space.sizes - 1, 1).astype(np.int16)
        ANSWERS.append(oracle.probs(choice[None])[0])
        return choice


@ATTACKS.register("test-broken")
class Broken(Attack):
    """Fails on every text."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        raise ValueError("no luck")


@ATTACKS.register("test-opposite")
class Opposite(FreeAttack):
    """Writes a text of its own that holds only opinions of the other class."""

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        return " ".join([(GOOD, BAD)[label][0]] * 9)


class Lacking(Attack):
    """Cannot be used on this machine."""

    def check(self) -> None:
        raise UsageError("It lacks a word list.")

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        raise AssertionError


LEARNING = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 8, "dev_examples": 8}
"""With these, opinions in the training texts are learnt by the third epoch, others are not."""


def augmented_request(
    encoder: Path, defense: str = "augmentation", train: int = 192, **options: Any
) -> FitRequest:
    own = {"augmentation.share" if "+" in defense else "share": 1.0}
    return request(
        encoder, defense, planted_splits(train, 16), options={**LEARNING, **own, **options}
    )


def options(**values: Any) -> AugmentationOptions:
    return AugmentationOptions.model_validate({"share": 1.0, **values})


class Sentences:
    """Collects a run's sentences on attacks."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, progress: TrainingProgress) -> None:
        if "fooled" in progress.message:
            self.sentences.append(progress.message)


def added(folder: Path) -> list[int]:
    return [epoch["added_examples"] for epoch in read_json(folder / "training.json")["epochs"]]
