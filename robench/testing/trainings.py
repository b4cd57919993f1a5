"""Whole trainings of a toy task.

The kit keeps the checkpoint of every epoch and can kill a training at a given step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robench.models.victim import Victim
from robench.training.checkpoint import FILE
from robench.training.loop import TrainingProgress, fit
from robench.training.request import FitRequest
from robench.training.saving import work_folder

QUICK: Mapping[str, Any] = {"learning_rate": 5e-3, "epochs": 2, "batch_size": 8, "dev_examples": 16}
"""Settings with which plain fine-tuning learns a toy task."""


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes:
        victim: the victim, loaded from its folder; None after a kill.
        folder: the folder of the victim.
        checkpoints: content of the checkpoint file after each epoch.
    """

    victim: Victim | None
    folder: Path
    checkpoints: list[bytes]

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """The states that ``TrainingState`` has written after each epoch."""
        return [
            torch.load(BytesIO(content), map_location="cpu", weights_only=True)
            for content in self.checkpoints
        ]

    def weights(self, epoch: int) -> dict[str, Tensor]:
        """Return the weights of the model after an epoch, counted from 0."""
        found: dict[str, Tensor] = self.epochs[epoch]["model"]
        return found


class Killed(BaseException):
    """Takes the place of ``kill -9``: it is a BaseException, so no handler catches it."""


def train(request: FitRequest, out: Path, kill: bool = False) -> Training:
    """Train ``request`` into ``out``, or resume what a killed call left there.

    Args:
        request: the training.
        out: the folder of the victim.
        kill: whether to stop after the first step of the second epoch.
    """
    checkpoints: list[bytes] = []

    def listen(progress: TrainingProgress) -> None:
        if kill and (progress.epoch, progress.step) == (2, 1):
            raise Killed
        epoch_ended = progress.epoch and not progress.step and progress.loss is not None
        if epoch_ended:
            checkpoints.append((work_folder(out) / FILE).read_bytes())

    try:
        victim = fit(request, out, listen)
    except Killed:
        return Training(None, out, checkpoints)
    return Training(victim, out, checkpoints)


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that are not the same, bit by bit."""
    return [name for name in one if name not in other or not torch.equal(one[name], other[name])]
