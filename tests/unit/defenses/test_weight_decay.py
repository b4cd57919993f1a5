"""Pre-trained weight decay: the norm of what was learnt, not its square."""

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


def test_the_penalty_by_hand() -> None:
    """Two parameters moved by 3 and by 4: a distance of 5, and a pull of strength x (3, 4) / 5 on them whatever the distance."""
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


def test_at_the_start_it_pulls_nowhere() -> None:
    defense, model = prepared(1.0)
    penalty = defense.penalty(model, batch())
    assert penalty.item() == pytest.approx(1e-5)
    gradients = torch.autograd.grad(penalty, list(model.encoder.parameters()))
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_head_is_free() -> None:
    defense, model = prepared(1.0)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(1.0)
    assert defense.penalty(model, batch()).item() == pytest.approx(1e-5)


def test_the_papers_settings() -> None:
    assert {task: values["strength"] for task, values in WeightDecay.task_defaults.items()} == {
        "imdb": 0.01,
        "snli": 0.005,
    }
