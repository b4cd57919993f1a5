from __future__ import annotations

import pytest
import torch
from torch import nn

from robench.models.model_modes import evaluating, without_parameter_gradients


def two_modes() -> nn.Sequential:
    """Return a model in train mode with a layer in eval mode and a frozen layer."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2)).train()
    model[1].eval()
    model[2].requires_grad_(False)
    return model


def state(model: nn.Module) -> tuple[list[bool], list[bool]]:
    return (
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
    )


@pytest.mark.parametrize("switch", [evaluating, without_parameter_gradients])
def test_each_module_and_parameter_gets_its_own_state_back(switch: object) -> None:
    model = two_modes()
    before = state(model)
    assert callable(switch)
    with switch(model):
        assert not any(module.training for module in model.modules())
    assert state(model) == before
    with pytest.raises(RuntimeError, match="inside"), switch(model):
        raise RuntimeError("inside")
    assert state(model) == before


def test_without_parameter_gradients_only_inputs_get_some() -> None:
    model, texts = two_modes(), torch.ones(1, 2, requires_grad=True)
    with without_parameter_gradients(model):
        model(texts).sum().backward()
    assert texts.grad is not None
    assert all(parameter.grad is None for parameter in model.parameters())
    with evaluating(model):
        model(texts).sum().backward()
    assert model[0].weight.grad is not None
