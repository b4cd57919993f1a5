"""Pre-trained weight decay: the penalty is the norm of the change, not its square."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from victim_cases import batch, classifier

from robench import DEFENSES
from robench.models.classifier import TextClassifier

WeightDecay = DEFENSES.get("weight-decay")


def prepared(strength: float) -> tuple[Any, TextClassifier]:
    model = classifier()
    defense = WeightDecay(WeightDecay.Options.model_validate({"strength": strength}))
    defense.prepare(model)
    return defense, model


def test_the_penalty_is_as_computed_by_hand() -> None:
    """Two parameters are moved by 3 and by 4, so the distance is 5.

    The gradient is strength x (3, 4) / 5, which does not depend on the distance.
    """
    defense, model = prepared(0.01)
    first, second = model.encoder.pooler.dense.bias, model.encoder.embeddings.LayerNorm.bias
    with torch.no_grad():
        first[0] += 3
        second[1] -= 4
    penalty = defense.penalty(model, batch())
    assert penalty.item() == pytest.approx(0.05)
    assert defense.figures["distance"].item() == pytest.approx(5)
    gradients = torch.autograd.grad(penalty, [first, second])
    assert (gradients[0][0].item(), gradients[1][1].item()) == pytest.approx(
        (0.01 * 0.6, -0.01 * 0.8)
    )


def test_at_the_pre_trained_weights_the_gradient_is_zero() -> None:
    defense, model = prepared(1.0)
    penalty = defense.penalty(model, batch())
    assert penalty.item() == pytest.approx(1e-5)
    gradients = torch.autograd.grad(penalty, list(model.encoder.parameters()))
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_head_is_not_penalised() -> None:
    defense, model = prepared(1.0)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(1.0)
    assert defense.penalty(model, batch()).item() == pytest.approx(1e-5)


def test_the_task_defaults_are_those_of_the_paper() -> None:
    assert {task: values["strength"] for task, values in WeightDecay.task_defaults.items()} == {
        "imdb": 0.01,
        "snli": 0.005,
    }
