"""Whether a victim in memory is still the one that was loaded.

A plugin runs in the process of the victim. An attack that changes the victim's weights would be
judged by its own victim, under the hash of the true one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from robench._base.errors import RobenchError


class VictimChanged(RobenchError):
    """An attack changed its victim; the trials that it made since then mean nothing."""


class UnchangedVictim:
    """What a victim is now, for a comparison later.

    It covers the weights and buffers, the mode, and the methods and hooks of the modules. A
    function has none of these.

    Args:
        victim: the victim. About a second for each gigabyte of weights is needed.
    """

    def __init__(self, victim: object) -> None:
        self._victim = victim
        self._before = _parts_of(victim)

    def check(self, attack: str) -> None:
        """Compare the victim with what it was.

        Args:
            attack: name of the attack, for the message.

        Raises:
            VictimChanged: something differs.
        """
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
