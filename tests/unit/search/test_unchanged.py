"""Whether a victim is still the one that was loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from saved_victims import victim

from robench.models.victim import Victim
from robench.search.unchanged import UnchangedVictim, VictimChanged


def _first(model: Any) -> Any:
    return next(model.parameters())


def _weight(subject: Victim) -> None:
    with torch.no_grad():
        _first(subject.model).view(-1)[0] += 1e-3


def _data(subject: Victim) -> None:
    # Torch's own counter of changes does not see this one.
    _first(subject.model).data.view(-1)[-1] += 1


def _dtype(subject: Victim) -> None:
    subject.model.double()


def _mode(subject: Victim) -> None:
    subject.model.train()


def _hook(subject: Victim) -> None:
    subject.model.register_forward_hook(lambda module, given, answer: answer)


def _method(subject: Victim) -> None:
    subject.logits = lambda *rest: None  # type: ignore[assignment,method-assign,return-value]


def _forward(subject: Victim) -> None:
    inner: Any = next(module for module in subject.model.modules() if not list(module.children()))
    inner.forward = lambda *rest: rest[0]


def _layer(subject: Victim) -> None:
    subject.model.extra = torch.nn.Linear(1, 1)


@pytest.mark.parametrize(
    "change", [_weight, _data, _dtype, _mode, _hook, _method, _forward, _layer]
)
def test_a_change_is_found(change: Callable[[Victim], None]) -> None:
    subject = victim()
    unchanged = UnchangedVictim(subject)
    unchanged.check("sly")
    change(subject)
    with pytest.raises(VictimChanged, match=r"^Attack 'sly' changed .* of the victim while"):
        unchanged.check("sly")


def test_asking_changes_nothing() -> None:
    subject = victim()
    unchanged = UnchangedVictim(subject)
    subject.probs_of_texts([{"text": "a fine film"}])
    unchanged.check("genetic")


def test_a_function_has_no_parts() -> None:
    class Function:
        def __init__(self) -> None:
            self.asked = 0

    subject = Function()
    unchanged = UnchangedVictim(subject)
    subject.asked += 1
    unchanged.check("genetic")
