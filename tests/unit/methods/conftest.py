"""Fixtures for the tests of training on adversarial texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from augmentation_cases import (
    augmented_request,
)
from victim_cases import encoder_folder

from robench.training.setup import set_up_training
from robench.training.trainee import ModelBetweenEpochs


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_folder(tmp_path_factory.mktemp("encoder") / "small", dropout=0.0)


@pytest.fixture
def trainee(encoder: Path, tmp_path: Path) -> ModelBetweenEpochs:
    """An untrained model with one answer for every text: it is right on half of them."""
    said: list[str] = []
    wanted = augmented_request(encoder, train=24)
    return ModelBetweenEpochs(
        wanted, set_up_training(wanted, tmp_path, said.append), (), said.append
    )
