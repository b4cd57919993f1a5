"""Whether a victim in memory, and the code that judges, are still what they were.

A plugin runs in the process of the victim. An attack that changes the victim's weights would be
judged by its own victim, under the hash of the true one.
"""

from __future__ import annotations

import sys
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from robench._base.errors import RobenchError
from robench._base.torch_settings import interceptors
from robench.search.core_code import CoreCode

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
)
"""Attributes of a torch module that hold its hooks."""


class VictimChanged(RobenchError):
    """An attack changed its victim; the trials that it made since then mean nothing."""


class UnchangedVictim:
    """What a victim is now, for a comparison later.

    It covers the weights and buffers, the mode, and the methods and hooks of the modules. A
    function has none of these. It covers the functions and methods that search and judge, too,
    and torch's hooks and modes that see the modules of every victim.

    Args:
        victim: the victim. About a second for each gigabyte of weights is needed.
    """

    def __init__(self, victim: object) -> None:
        self._victim = victim
        self._before = _parts_of(victim)
        self._around = {each.name: each.get() for each in interceptors()}
        # The method itself, so that a class with another method changes nothing here.
        self._restored_code = CoreCode(getattr(victim, "model", None)).restored

    def check(self, attack: str) -> None:
        """Compare the victim with what it was.

        Args:
            attack: name of the attack, for the message.

        Raises:
            VictimChanged: something differs, or the code that judges was replaced.
        """
        replaced = self._restored_code()
        if replaced:
            raise VictimChanged(
                f"Attack '{attack}' replaced code of robench or of a library below it while it "
                f"searched, first '{replaced[0]}'. It is put back, and the attack's results do "
                "not count."
            )
        for each in interceptors():
            # Torch may have been loaded by a search.
            if each.get() != self._around.get(each.name, each.usual):
                raise VictimChanged(
                    f"Attack '{attack}' left {each.name} behind. They can change what every victim "
                    "answers, so its results do not count."
                )
        now = _parts_of(self._victim)
        changed = sorted(
            name
            for name in now.keys() | self._before.keys()
            if now.get(name) != self._before.get(name)
        )
        if changed:
            number = f"{len(changed)} parts" if len(changed) > 1 else "a part"
            raise VictimChanged(
                f"Attack '{attack}' changed {number} of the victim while it searched, first "
                f"'{changed[0]}'. Its results are about another victim, so they do not count."
            )


class _Same:
    """An object that equals nothing but itself. It is held, so that no other takes its place."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]


def _parts_of(victim: object) -> dict[str, object]:
    """Return digests and states of the parts of a victim by name."""
    model: Any = getattr(victim, "model", None)
    own = vars(victim) if hasattr(victim, "__dict__") else {}
    if model is None or not hasattr(model, "state_dict"):
        # A function may count its calls.
        return {f"attribute {name}": _Same(each) for name, each in own.items() if callable(each)}
    parts: dict[str, object] = {f"attribute {name}": _state(each) for name, each in own.items()}
    # A property that is computed once comes when it is first read.
    parts = {name: state for name, state in parts.items() if not _is_cached(victim, name)}
    for kind, tensors in (("weight", model.named_parameters()), ("buffer", model.named_buffers())):
        parts |= {f"{kind} {name}": _digest(tensor) for name, tensor in tensors}
    for name, module in model.named_modules():
        functions = {each: _Same(value) for each, value in vars(module).items() if callable(value)}
        hooks = {each: _hooks(vars(module).get(each)) for each in HOOKS}
        parts[f"module {name}"] = (_Same(type(module)), module.training, hooks, functions)
    return parts


def _is_cached(victim: object, part: str) -> bool:
    return isinstance(getattr(type(victim), part.split(" ", 1)[1], None), cached_property)


def _hooks(hooks: object) -> list[_Same]:
    return [_Same(each) for each in hooks.values()] if isinstance(hooks, dict) else []


def _state(value: object) -> object:
    """Return what can be compared of an attribute's value."""
    if value is None or isinstance(value, str | bytes | int | float):
        return type(value).__name__, repr(value)
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()) if value.dtype.hasobject else value.tobytes()
        return str(value.dtype), value.shape, content
    if isinstance(value, _tensor()):
        return _digest(value)
    if type(value) in (tuple, list, set, frozenset):
        return type(value).__name__, [_state(each) for each in value]  # type: ignore[attr-defined]
    if type(value) is dict:
        return [(_state(name), _state(each)) for name, each in value.items()]
    return _Same(value)


def _tensor() -> type | tuple[()]:
    """Return torch's class of tensors where torch is loaded, else a class of nothing."""
    torch = sys.modules.get("torch")
    return () if torch is None else torch.Tensor


def _digest(tensor: Any) -> bytes:
    """Return a digest of a tensor's type, shape and content."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest = blake2b(f"{tensor.dtype} {tuple(tensor.shape)} ".encode(), digest_size=16)
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.digest()
