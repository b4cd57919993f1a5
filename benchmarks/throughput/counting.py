"""Count the operations of torch that a piece of code starts, and the values that it reads.

On a GPU each operation is at least one kernel, and to start it takes some microseconds of one
processor. The number does not depend on the machine, so it can be counted without a GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READS = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "bincount", "unique_dim"})
"""Operations after which a program waits for the device."""
FREE = frozenset({"detach", "empty", "empty_like", "empty_strided", "lift_fresh", "alias"})
"""Operations that start no kernel, beside views."""


class Operations(TorchDispatchMode):
    """Counts operations while it is active.

    Attributes:
        started: name of an operation -> how often it was started; views are left out.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.started: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count one operation and carry it out."""
        name = func.overloadpacket.__name__
        if name not in FREE and not _is_view(func):
            self.started[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def number(self) -> int:
        """Number of operations that start a kernel."""
        return sum(self.started.values())

    @property
    def reads(self) -> int:
        """Number of operations after which the program waits for the device."""
        return sum(number for name, number in self.started.items() if name in READS)


def _is_view(func: torch._ops.OpOverload) -> bool:
    """Return whether an operation returns another look at its input, without any work."""
    return any(
        each.alias_info is not None and not each.alias_info.is_write
        for each in func._schema.returns
    )
