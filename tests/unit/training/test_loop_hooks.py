"""The training loop calls every hook of a defense when it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from victim_cases import read_json, request

from robench import DEFENSES, Batch, Defense
from robench.models.classifier import TextClassifier
from robench.training.loop import TrainingProgress, fit


class Killed(BaseException):
    """Stands for ``kill -9``: no handler sees it."""


class Counter(nn.Module):
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))


@DEFENSES.register("recording")
class Recording(Defense):
    """Records its calls.

    It swaps a layer in ``prepare``, puts it back in ``finish``, and keeps a counter as a buffer.
    """

    # One list for the class, because the loop makes the object.
    calls: list[str] = []  # noqa: RUF012

    def prepare(self, model: TextClassifier) -> None:
        self.calls.append("prepare")
        self.counter = Counter()
        self.swapped = model.head[1]
        model.head[1] = nn.GELU()

    def modules(self) -> Iterator[nn.Module]:
        yield self.counter

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        assert all(parameter.grad is None for parameter in model.parameters())
        assert model.training
        self.counter.steps += 1
        self.calls.append("before_loss")

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.calls.append("loss")
        loss = super().loss(model, batch)
        self.figures = {"plain": loss.detach()}
        return loss

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.calls.append("penalty")
        return torch.tensor(100.0)

    def optimizer(self, groups: Any) -> torch.optim.Optimizer:
        self.calls.append("optimizer")
        assert [group["weight_decay"] for group in groups] == [0.0, self.options.head_weight_decay]
        return torch.optim.SGD(groups)

    def finish(self, model: TextClassifier) -> None:
        self.calls.append(f"finish after {int(self.counter.steps)} steps")
        model.head[1] = self.swapped


def test_hooks_are_called_in_their_order(encoder: Path, tmp_path: Path) -> None:
    Recording.calls.clear()

    def kill(progress: TrainingProgress) -> None:
        if progress.epoch == 2 and progress.step == 1:
            raise Killed

    asked = request(encoder, "recording", options={"epochs": 2, "learning_rate": 0.1})
    with pytest.raises(Killed):
        fit(asked, tmp_path / "v", kill)
    assert Recording.calls[:5] == ["prepare", "optimizer", "before_loss", "loss", "penalty"]
    Recording.calls.clear()
    victim = fit(asked, tmp_path / "v")
    assert Recording.calls == [
        "prepare",
        "optimizer",
        *["before_loss", "loss", "penalty"] * 6,
        "finish after 12 steps",
    ]
    assert isinstance(victim.model.head[1], nn.ReLU)
    log = read_json(tmp_path / "v" / "training.json")["epochs"]
    assert log[0]["loss"] == pytest.approx(100 + log[0]["loss_plain"], abs=1e-3)
