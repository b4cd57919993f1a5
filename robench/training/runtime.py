"""Where a training run executes: Accelerate, its processes, memory and seeds."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import sys
from typing import Any

import numpy as np
import torch

from robench._base.errors import UsageError

# In bf16 every new tensor shape leaves compiled kernels in two caches, torch's and oneDNN's, which
# keep 1,024 each by default. The convex hull has another shape in every step, so some hundred steps
# would fill gigabytes. Both caches read their limit once, before the first kernel.
for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(cache, "64")


def make_accelerator(device: str, precision: str) -> Any:
    """Return an ``Accelerator`` for one run on ``device``.

    Accelerate's process-wide state is reset first, unless a launcher started several processes.

    Args:
        device: a torch device string.
        precision: of the forward passes, ``"fp32"`` or ``"bf16"``.

    Raises:
        UsageError: there is no such device, or Accelerate refuses the settings.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import patch_environment

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"There is no GPU on this machine for --device {device}. Use --device cpu."
        )
    if _is_single_process():
        AcceleratorState._reset_state(reset_partial_state=True)
    where = {"ACCELERATE_TORCH_DEVICE": device} if _is_single_process() else {}
    try:
        with patch_environment(**where):
            accelerator = Accelerator(
                cpu=device == "cpu",
                mixed_precision="bf16" if precision == "bf16" else "no",
            )
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"Accelerate cannot train on '{device}' in {precision} ({error})."
        ) from error
    return accelerator


def processes() -> int:
    """Return how many processes a launcher started for this run; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Return whether this is the first, or the only, process of a run.

    It is known before there is an ``Accelerator``.
    """
    return _is_single_process() or int(os.environ.get("RANK", "0")) == 0


def _is_single_process() -> bool:
    return processes() == 1


def release_memory() -> None:
    """Return freed memory to the system, where the C library is glibc.

    Batches of many lengths leave unused holes in the heap, which the library would keep.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def stable_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2^32) made from ``parts``, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def seed_everything(seed: int, purpose: str) -> None:
    """Seed torch on all devices, NumPy's global state and ``random`` from (seed, purpose)."""
    value = stable_seed(seed, purpose)
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
