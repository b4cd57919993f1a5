"""A fake device that works asynchronously, for the tests of the engine's pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from fake_victims import FakeVictim
from numpy.typing import NDArray

from robench._base.environment import Precision


class FakePending:
    """The answers of one forward pass, which nobody has computed yet."""

    def __init__(self, device: FakeDevice, number: int, compute: Callable[[], Any]) -> None:
        self._device, self.number, self._compute = device, number, compute
        self.taken = False

    def ready(self) -> bool:
        return self._device.is_ready(self.number)

    def result(self) -> NDArray[np.float32]:
        assert not self.taken, "an answer was asked for twice"
        self.taken = True
        self._device.flying.discard(self.number)
        self._device.landed.append(self.number)
        answer: NDArray[np.float32] = self._compute()
        return answer


class FakeDevice:
    """A queue of forward passes that end in any order.

    Args:
        victim: it computes the answers, when they are taken.
        is_ready: whether a forward pass, given by its number, has ended.

    Attributes:
        most: the most forward passes that were ever in flight.
        landed: numbers of the forward passes in the order in which their answers were taken.
        refuse, break_off: raise what goes wrong when a forward pass is queued, and in flight;
            their argument is the forward pass's ids.
    """

    def __init__(self, victim: FakeVictim, is_ready: Callable[[int], bool], depth: int = 3) -> None:
        self._victim, self.is_ready, self.depth = victim, is_ready, depth
        self.flying: set[int] = set()
        self.landed: list[int] = []
        self.most = self.queued = 0
        self.refuse: Callable[[NDArray[np.int32]], None] = lambda ids: None
        self.break_off: Callable[[NDArray[np.int32]], None] = lambda ids: None

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> FakePending:
        self.refuse(ids)
        number, self.queued = self.queued, self.queued + 1
        self.flying.add(number)
        self.most = max(self.most, len(self.flying))
        before = ids.copy()

        def compute() -> NDArray[np.float32]:
            assert np.array_equal(ids, before), "rows in flight were changed"
            self.break_off(ids)
            return self._victim.logits(ids, lengths, types, precision)

        return FakePending(self, number, compute)


def on_device(
    victim: FakeVictim, is_ready: Callable[[int], bool] = lambda number: False, depth: int = 3
) -> FakeDevice:
    """Put a victim on a fake device, as if it were a GPU, and return the device."""
    device = FakeDevice(victim, is_ready, depth)
    victim.forward_queue = lambda: device  # type: ignore[attr-defined]
    return device


def at_random(seed: int, share: float = 0.5) -> Callable[[int], bool]:
    """Return a device's ``is_ready`` that says yes to a share of the questions."""
    random = np.random.default_rng(seed)
    return lambda number: bool(random.random() < share)
