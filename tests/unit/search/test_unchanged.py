"""Whether a victim is still the one that was loaded."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from saved_victims import victim
from torch.overrides import TorchFunctionMode

from robench.models.victim import Victim
from robench.search import judge
from robench.search.oracle import PooledOracle
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
    subject.logits = lambda *rest: None  # type: ignore[assignment,method-assign]


def _forward(subject: Victim) -> None:
    inner: Any = next(module for module in subject.model.modules() if not list(module.children()))
    inner.forward = lambda *rest: rest[0]


def _layer(subject: Victim) -> None:
    subject.model.extra = torch.nn.Linear(1, 1)


def _device(subject: Victim) -> None:
    subject.device = "meta"


def _card(subject: Victim) -> None:
    subject.card["labels"] = ["positive", "negative"]


def _labels(subject: Victim) -> None:
    subject.labels = subject.labels[::-1]


def _tokenizer(subject: Victim) -> None:
    subject.tokenizer = copy(subject.tokenizer)


@pytest.mark.parametrize(
    "change",
    [
        _weight,
        _data,
        _dtype,
        _mode,
        _hook,
        _method,
        _forward,
        _layer,
        _device,
        _card,
        _labels,
        _tokenizer,
    ],
)
def test_a_change_is_found(change: Callable[[Victim], None]) -> None:
    subject = victim()
    unchanged = UnchangedVictim(subject)
    unchanged.check("sly")
    change(subject)
    with pytest.raises(VictimChanged, match=r"^Attack 'sly' changed .* of the victim while"):
        unchanged.check("sly")


def test_a_hook_in_the_place_of_another_is_found() -> None:
    subject = victim()
    handle = subject.model.register_forward_hook(lambda module, given, answer: answer)
    unchanged = UnchangedVictim(subject)
    unchanged.check("sly")
    handle.remove()
    subject.model.register_forward_hook(lambda module, given, answer: answer + 1)
    with pytest.raises(VictimChanged, match="changed a part of the victim"):
        unchanged.check("sly")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(3), np.ones(3)),
        (np.array(["a"], dtype=object), np.array(["b"], dtype=object)),
        (torch.zeros(2), torch.ones(2)),
        (1, 1.0),
        ({"a": [1]}, {"a": [2]}),
    ],
)
def test_an_attribute_with_another_value_is_found(first: Any, second: Any) -> None:
    subject: Any = victim()
    subject.shift = first
    unchanged = UnchangedVictim(subject)
    subject.shift = deepcopy(first)
    unchanged.check("sly")
    subject.shift = second
    with pytest.raises(VictimChanged, match="first 'attribute shift'"):
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


def other(*_: object, **__: object) -> None:
    """Stand in the place of a function."""


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [
        (judge, "judge_choice", "robench.search.judge.judge_choice"),
        (PooledOracle, "_inspect", "robench.search.oracle.PooledOracle._inspect"),
        (judge, "Judgement", "robench.search.judge.Judgement"),
        (np, "argmax", "numpy.argmax"),
    ],
)
def test_replaced_code_of_the_core_is_found(
    owner: Any, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = UnchangedVictim(object())
    unchanged.check("mine")
    before = getattr(owner, name)
    monkeypatch.setattr(owner, name, other)
    with pytest.raises(VictimChanged, match="Attack 'mine' replaced code") as caught:
        unchanged.check("mine")
    assert f"first '{said}'" in str(caught.value)
    # The next cell is judged by the core's own code again.
    assert getattr(owner, name) is before
    unchanged.check("mine")


def test_a_function_with_other_code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged = UnchangedVictim(object())
    monkeypatch.setattr(judge.judge_text, "__code__", other.__code__)
    with pytest.raises(VictimChanged, match="judge_text"):
        unchanged.check("mine")
    assert judge.judge_text.__code__ is not other.__code__
    unchanged.check("mine")


def test_hooks_for_all_modules_that_stay_behind_are_found() -> None:
    unchanged = UnchangedVictim(victim())
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *given: given[2] * 2)
    with pytest.raises(VictimChanged, match="left torch's hooks for all modules behind"):
        unchanged.check("mine")
    hook.remove()
    unchanged.check("mine")


def test_a_mode_that_was_not_left_is_found() -> None:
    unchanged = UnchangedVictim(len)
    with TorchFunctionMode(), pytest.raises(VictimChanged, match="torch's modes for functions"):
        unchanged.check("mine")
    unchanged.check("mine")


def test_hooks_and_modes_of_the_program_are_no_change() -> None:
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    with Seeing():
        UnchangedVictim(victim()).check("mine")
    hook.remove()


class Seeing(TorchFunctionMode):
    """Sees every function of torch, and changes none."""

    def __torch_function__(
        self, function: Any, types: Any, given: Any = (), named: Any = None
    ) -> Any:
        return function(*given, **(named or {}))
