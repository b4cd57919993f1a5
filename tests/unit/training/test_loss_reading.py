"""Losses are read together, and one that is not a number is named with its own step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from robench._base.errors import RobenchError
from robench.training.loss_reading import LossReader

REQUEST: Any = SimpleNamespace(defense="rift", task="imdb")


def reader(device: str) -> LossReader:
    return LossReader(torch.device(device), REQUEST, epoch=1)


def test_a_gpu_is_asked_after_the_first_and_every_tenth_step() -> None:
    losses = reader("cuda")
    known = [losses.add(torch.tensor(float(step))) for step in range(1, 22)]
    assert known == [1.0] * 10 + [11.0] * 10 + [21.0]
    losses.add(torch.tensor(22.0))
    assert losses.read() == 22.0
    assert losses.read() == 22.0


def test_on_a_cpu_each_loss_is_known_at_once() -> None:
    losses = reader("cpu")
    assert [losses.add(torch.tensor(float(step))) for step in (3, 1, 2)] == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("bad", [2, 5, 11, 17])
def test_a_loss_that_is_no_number_is_found_ten_steps_later_at_most(bad: int) -> None:
    losses = reader("cuda")

    def all_steps() -> None:
        for step in range(1, 18):
            losses.add(torch.tensor(float("nan") if step >= bad else 1.0))
            assert step < bad + 10
        losses.read()

    with pytest.raises(RobenchError) as caught:
        all_steps()
    assert str(caught.value) == (
        f"Training 'rift' on 'imdb' diverged in epoch 2, step {bad}: its loss is nan. "
        "Lower learning_rate."
    )
