"""Whether a victim in memory, and the code that judges, are still what they were.

A plugin runs in the process of the victim. An attack that changes the victim's weights would be
judged by its own victim, under the hash of the true one.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from robench._base.errors import RobenchError

CORE = ("robench.search.", "robench.models.", "robench.text.")
"""Modules whose functions search and judge."""
NUMPY = ("array", "asarray", "argmax", "array_equal", "concatenate", "flatnonzero", "isfinite")
"""Functions of NumPy on which verdicts rest."""


class VictimChanged(RobenchError):
    """An attack changed its victim; the trials that it made since then mean nothing."""


class UnchangedVictim:
    """What a victim is now, for a comparison later.

    It covers the weights and buffers, the mode, and the methods and hooks of the modules. A
    function has none of these. It covers the functions and methods that search and judge, too.

    Args:
        victim: the victim. About a second for each gigabyte of weights is needed.
    """

    def __init__(self, victim: object) -> None:
        self._victim = victim
        self._before = _parts_of(victim)
        self._code = CoreCode()

    def check(self, attack: str) -> None:
        """Compare the victim with what it was.

        Args:
            attack: name of the attack, for the message.

        Raises:
            VictimChanged: something differs, or the code that judges was replaced.
        """
        replaced = self._code.put_back()
        if replaced:
            raise VictimChanged(
                f"Attack '{attack}' replaced code of robench or NumPy while it searched, first "
                f"'{replaced[0]}'. It is put back, and the attack's results do not count."
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


class CoreCode:
    """The functions, methods and classes of the core as they are now.

    Args:
        modules: beginnings of the names of the modules. Those that are loaded later do not count.
    """

    def __init__(self, modules: tuple[str, ...] = CORE) -> None:
        self._code = _core_code(modules)

    def put_back(self) -> list[str]:
        """Put back what was replaced, and return its names."""
        replaced = [name for name, own in self._code.items() if not own.is_there()]
        for name in replaced:
            self._code[name].put_back()
        return replaced


class _Named(NamedTuple):
    """A function, a method or a class of the core, and where it stands."""

    owner: Any
    name: str
    value: Any
    code: Any

    def is_there(self) -> bool:
        """Return whether it stands there still, with its own code."""
        now = vars(self.owner).get(self.name)
        return now is self.value and getattr(now, "__code__", None) is self.code

    def put_back(self) -> None:
        """Put it where it stood."""
        if self.code is not None:
            self.value.__code__ = self.code
        setattr(self.owner, self.name, self.value)


def _core_code(modules: tuple[str, ...]) -> dict[str, _Named]:
    """Return the functions, methods and classes of these modules by name."""
    found = {f"numpy.{name}": _named(np, name, getattr(np, name)) for name in NUMPY}
    for module, content in list(sys.modules.items()):
        if not (module.startswith(modules) and isinstance(content, ModuleType)):
            continue
        for name, value in list(vars(content).items()):
            if getattr(value, "__module__", None) != module:
                continue
            if isinstance(value, type):
                found[f"{module}.{name}"] = _named(content, name, value)
                found |= {
                    f"{module}.{name}.{each}": _named(value, each, method)
                    for each, method in list(vars(value).items())
                    if isinstance(method, FunctionType)
                }
            elif isinstance(value, FunctionType):
                found[f"{module}.{name}"] = _named(content, name, value)
    return found


def _named(owner: Any, name: str, value: Any) -> _Named:
    code = value.__code__ if isinstance(value, FunctionType) else None
    return _Named(owner, name, value, code)


def _parts_of(victim: object) -> dict[str, object]:
    """Return digests and states of the parts of a victim by name."""
    model: Any = getattr(victim, "model", None)
    parts: dict[str, object] = {
        f"attribute {name}": id(value) if callable(value) else None
        for name, value in getattr(victim, "__dict__", {}).items()
    }
    if model is None or not hasattr(model, "state_dict"):
        return parts
    for kind, tensors in (("weight", model.named_parameters()), ("buffer", model.named_buffers())):
        parts |= {f"{kind} {name}": _digest(tensor) for name, tensor in tensors}
    for name, module in model.named_modules():
        own = {each: id(value) for each, value in vars(module).items() if callable(value)}
        hooks = len(module._forward_hooks), len(module._forward_pre_hooks)
        parts[f"module {name}"] = (type(module), module.training, hooks, own)
    return parts


def _digest(tensor: Any) -> bytes:
    """Return a digest of a tensor's type, shape and content."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest = blake2b(f"{tensor.dtype} {tuple(tensor.shape)} ".encode(), digest_size=16)
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.digest()
