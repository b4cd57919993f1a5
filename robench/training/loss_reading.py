"""Read the losses of a training's steps, without making a GPU wait for each of them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robench._base.errors import RobenchError

if TYPE_CHECKING:
    from robench.training.request import FitRequest

STEPS_BETWEEN_READINGS = 10
"""On a GPU: reading a value makes it finish everything before."""


class LossReader:
    """The losses of one epoch's steps, read together from time to time.

    Args:
        device: where the losses are. On a CPU each is read at once.
        request: the training, for the sentence about a divergence.
        epoch: the epoch, counted from 0.
    """

    def __init__(self, device: torch.device, request: FitRequest, epoch: int) -> None:
        self._every = 1 if device.type == "cpu" else STEPS_BETWEEN_READINGS
        self._request, self._epoch = request, epoch
        self._waiting: list[Tensor] = []
        self._steps = 0
        self._recent: float | None = None

    def add(self, loss: Tensor) -> float | None:
        """Take the loss of the next step, a detached scalar.

        Returns:
            The loss of the last step that was read.

        Raises:
            RobenchError: a loss that was read is infinite or not a number.
        """
        self._waiting.append(loss)
        self._steps += 1
        # The first step is read at once, so that the progress has a number soon.
        return self._recent if (self._steps - 1) % self._every else self.read()

    def read(self) -> float | None:
        """Read all losses that wait, and return the last one; see ``add``."""
        if self._waiting:
            first = self._steps - len(self._waiting) + 1
            values = torch.stack(self._waiting).tolist()
            self._waiting.clear()
            for step, value in enumerate(values, first):
                check_finite(value, self._request, self._epoch, step)
            self._recent = values[-1]
        return self._recent


def check_finite(loss: float, request: FitRequest, epoch: int, step: int | None = None) -> None:
    """Raise RobenchError where a loss is infinite or not a number.

    Args:
        loss: the loss of a step, or the mean of an epoch.
        request: the training.
        epoch: the epoch, counted from 0.
        step: the step of this epoch, counted from 1; None for the mean.
    """
    if isfinite(loss):
        return
    where = f"epoch {epoch + 1}" + ("" if step is None else f", step {step}")
    raise RobenchError(
        f"Training '{request.defense}' on '{request.task}' diverged in {where}: "
        f"its loss is {loss}. Lower learning_rate."
    )
