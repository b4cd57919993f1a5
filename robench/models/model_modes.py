"""Switch a model to eval mode, or stop the gradients of its parameters, for one block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode without parameter gradients, and restore everything afterwards.

    Freezing saves the activations that only parameter gradients need. It also keeps autocast
    correct: autocast caches the bf16 copy of a parameter that requires gradients, and a copy
    made without them must not serve the loss. It does not cache copies of frozen parameters.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        with evaluating(model):
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode, and restore every module's own mode afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
