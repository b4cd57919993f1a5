"""The small victims of ``robench.testing``, and some that do harm.

Worker processes can import them, because pytest puts tests/ on the path.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.testing.victims import (
    PAD,
    UNKNOWN,
    FakeFields,
    FakeTable,
    FakeVictim,
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
    "load_noting_device",
    "load_rough",
    "make_job",
]


class PieceTable(FakeTable):
    """A word table with one token for each letter of a word."""

    mode = "subword"

    def __init__(self) -> None:
        super().__init__("abcdefghijklmnopqrstuvwxyz0123456789-")

    def ids(self, word: str) -> tuple[int, ...]:
        """Return the tokens of a word."""
        return tuple(self.numbers.get(letter, UNKNOWN) for letter in word)


def load_rough(folder: Path = Path(), device: str = "cpu") -> FakeVictim:
    """Return the victim of ``linear_jobs`` with inexact bf16 margins.

    They are off by up to 0.4, differently for each text. The exact margins come in steps
    of 0.5.
    """
    victim = load_linear(folder, device)
    victim.weights /= 2
    victim.bias = np.array([2.25, 0], dtype=np.float32)

    def rough(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        noise = ((ids.astype(np.int64) ** 2).sum(axis=1) % 9 - 4) / 10
        return np.asarray(logits + np.stack([noise, np.zeros(len(ids))], axis=1), dtype=np.float32)

    victim.rough = rough
    return victim


def load_lethal(folder: Path, device: str) -> FakeVictim:
    """Return the victim of ``linear_jobs`` with two words that kill the process.

    "w39c" always does; "w39b" does once, while the file ``once`` exists in ``folder``.
    """
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


def load_noting_device(folder: Path, device: str) -> FakeVictim:
    """Return the victim of ``linear_jobs``, and leave a file with the device in ``folder``."""
    (folder / f"{os.getpid()} {device}").touch()
    return load_linear(folder)


def load_nothing(folder: Path, device: str) -> FakeVictim:
    """Fail like a victim that cannot be loaded."""
    raise OSError("no such weights")


def load_lingering(folder: Path = Path(), device: str = "cpu") -> FakeVictim:
    """Load the victim of ``linear_jobs``; each of its answers takes a third of a second."""
    victim = load_linear(folder, device)

    def linger(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(1 / 3)
        return logits

    victim.twist = linger
    return victim
