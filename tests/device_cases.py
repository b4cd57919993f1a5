"""Victims with a queue for the tests of shared devices; the processes of the tests import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from fake_victims import FakeVictim, load_linear, load_rough
from numpy.typing import NDArray
from queue_cases import FakeDevice, at_random, on_device

from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.worker_plan import Sharing, WorkerPlan

SHAPES = Shapes(tokens=64, most=8, floor=4, fixed=True)
"""Small forward passes, so that few texts need many of them."""
LOADED = "loaded"
"""Begins the names of the files by which device processes tell their number."""


def _in_a_device_process(folder: Path, victim: FakeVictim) -> FakeVictim:
    """Put a victim on a device that ends its forward passes in any order."""
    (folder / f"{LOADED}-{os.getpid()}").touch()
    on_device(victim, at_random(os.getpid()))
    return victim


def load_on_device(folder: Path, device: str) -> FakeVictim:
    """Load the victim of ``linear_jobs`` in a device process."""
    return _in_a_device_process(folder, load_linear(folder, device))


def load_rough_on_device(folder: Path, device: str) -> FakeVictim:
    """Load a slow victim whose bf16 answers are inexact in a device process."""
    victim = load_rough(folder, device)
    rough = victim.rough
    assert rough is not None

    def slow(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(0.002)
        return rough(ids, logits)

    victim.rough = slow
    return _in_a_device_process(folder, victim)


def load_slow_on_device(folder: Path, device: str) -> FakeVictim:
    """Load a victim that needs a moment for each forward pass."""
    victim = load_linear(folder, device)

    def twist(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(0.002)
        return logits

    victim.twist = twist
    return _in_a_device_process(folder, victim)


def load_without_queue(folder: Path, device: str) -> FakeVictim:
    """Load a victim that answers at once."""
    victim = load_linear(folder, device)
    victim.forward_queue = lambda: None  # type: ignore[attr-defined]
    return victim


def read_linear(folder: Path) -> FakeVictim:
    """Return how the victims of this module read texts; it has no answers."""
    victim = load_linear(folder)
    del victim.weights
    return victim


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


def tight(victim: Any) -> Any:
    """Give a victim a device with memory for one forward pass: a second one in flight fails."""
    device = FakeDevice(victim, at_random(3), 3)

    def refuse(ids: Any) -> None:
        if device.flying:
            raise OutOfMemoryError("CUDA out of memory")

    device.refuse = refuse
    victim.forward_queue = lambda: device
    return victim


def load_tight(folder: Path, device: str) -> Any:
    """Load the linear victim on a device that is short of memory."""
    (folder / f"{LOADED}-{os.getpid()}").touch()
    return tight(load_linear(folder, device))


DEADLY = "deadly.npy"
"""Name of a file with the token ids of a text on which the device process dies."""


def load_deadly(folder: Path, device: str) -> Any:
    """Load the linear victim on a device whose process dies on one text."""
    (folder / f"{LOADED}-{os.getpid()}").touch()
    victim = load_linear(folder, device)
    deadly = np.load(folder / DEADLY, allow_pickle=False)

    def die(ids: Any) -> None:
        width = min(ids.shape[1], len(deadly))
        if (ids[:, :width] == deadly[:width]).all(axis=1).any():
            os.kill(os.getpid(), signal.SIGKILL)

    on_device(victim, at_random(os.getpid())).break_off = die
    return victim


def shared_plan(folder: Path, attack: str = "pwws", load: Any = load_on_device, **more: Any) -> Any:
    """Return a plan whose workers share one device process."""
    more.setdefault("shapes", SHAPES)
    search = {name: more.pop(name) for name in ("budget", "precision") if name in more}
    return WorkerPlan(
        folder,
        attack,
        load=load,
        settings=SearchSettings(**search),
        sharing=Sharing(read_linear, classes=2, longest=300),
        **more,
    )


def device_processes(folder: Path) -> list[int]:
    """Return the numbers of the device processes that have loaded, in the order of their start."""
    found = sorted(folder.glob(f"{LOADED}-*"), key=lambda path: path.stat().st_mtime_ns)
    return [int(path.name.split("-")[1]) for path in found]


def load_queued(saved: Any, device: str) -> Any:
    """Load a victim that robench saved, with the queue of a GPU on a processor."""
    from robench.models.saved_folder import load_unchanged

    victim = load_unchanged(saved, device)
    victim.forward_queue = lambda: queue_of(victim)  # type: ignore[method-assign]
    return victim


def queue_of(victim: Any) -> Any:
    """Return the queue that a victim of robench has on a GPU, on its own device."""
    from robench.models.device_queue import DeviceQueue

    return DeviceQueue(victim.model.eval(), victim.device, victim.segments)
