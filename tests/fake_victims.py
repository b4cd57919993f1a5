"""The small victims of ``robench.testing`` and some that harm, importable by worker processes (pytest puts tests/ on the path)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.testing.victims import (
    PAD,
    FakeFields,
    FakeTable,
    FakeVictim,
    PieceTable,
    linear_jobs,
    load_linear,
    make_job,
)

__all__ = [
    "PAD",
    "Closed",
    "FakeFields",
    "FakeTable",
    "FakeVictim",
    "PieceTable",
    "linear_jobs",
    "load_closed",
    "load_lethal",
    "load_linear",
    "load_nothing",
    "load_rough",
    "make_job",
]


def load_rough(folder: Path = Path(), device: str = "cpu") -> FakeVictim:
    """The victim of ``linear_jobs``, whose bf16 margins are off by up to 0.4, text by text, and whose margins come in halves."""
    victim = load_linear(folder, device)
    victim.weights /= 2
    victim.bias = np.array([2.25, 0], dtype=np.float32)

    def rough(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        noise = ((ids.astype(np.int64) ** 2).sum(axis=1) % 9 - 4) / 10
        return np.asarray(logits + np.stack([noise, np.zeros(len(ids))], axis=1), dtype=np.float32)

    victim.rough = rough
    return victim


def load_lethal(folder: Path, device: str) -> FakeVictim:
    """The same, but the word "w39c" kills the process (always), "w39b" only where the file ``once`` in ``folder`` is still there."""
    victim = load_linear(folder, device)
    always, once = victim.table.numbers["w39c"], victim.table.numbers["w39b"]

    def twist(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        marker = folder / "once"
        if (ids == once).any() and marker.exists():
            marker.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (ids == always).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return logits

    victim.twist = twist
    return victim


class Closed(FakeVictim):
    """A victim that gives no gradients."""

    hull = None  # type: ignore[assignment]


def load_closed(folder: Path, device: str) -> FakeVictim:
    return Closed({})


def load_nothing(folder: Path, device: str) -> FakeVictim:
    """A victim that cannot be loaded."""
    raise OSError("no such weights")
