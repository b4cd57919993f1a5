"""Where a training run happens: Accelerate, its processes, its memory, and seeds."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robench._base.errors import UsageError

# In bf16 every new shape leaves compiled kernels in two caches, torch's and oneDNN's, 1,024 each unless told otherwise, and the hull has another shape in
# every step: gigabytes after some hundred steps. Both read their bound once, before the first kernel.
for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(cache, "64")


def make_accelerator(device: str, precision: str, tracker: str | None, logs: Path) -> Any:
    """Accelerate for one run on ``device``; its process-wide state is begun afresh unless a launcher started several processes.

    Args:
        logs: where a tracker writes; its last part names the run.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import patch_environment

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"There is no GPU here for --device {device}. Use --device cpu.")
    if _alone():
        AcceleratorState._reset_state(reset_partial_state=True)
    where = {"ACCELERATE_TORCH_DEVICE": device} if _alone() else {}
    try:
        with patch_environment(**where):
            accelerator = Accelerator(
                cpu=device == "cpu",
                mixed_precision="bf16" if precision == "bf16" else "no",
                log_with=tracker,
                project_dir=str(logs.parent) if tracker else None,
            )
            if tracker is not None:
                accelerator.init_trackers(logs.name)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"Accelerate cannot train on '{device}' in {precision} with tracker {tracker!r} ({error})."
        ) from error
    return accelerator


def processes() -> int:
    """How many processes a launcher started for this run; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the first, or the only, process of a run; known before there is an Accelerator."""
    return _alone() or int(os.environ.get("RANK", "0")) == 0


def _alone() -> bool:
    return processes() == 1


def release_memory() -> None:
    """Give the system back what the C library keeps of freed tensors; batches of many lengths leave holes everywhere. Only glibc can."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def stable_seed(*parts: str | int) -> int:
    """A seed in [0, 2^32) made of ``parts``, the same on every machine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def seed_everything(seed: int, purpose: str) -> None:
    """Seed torch (all devices), NumPy's global state and ``random`` from (seed, purpose)."""
    value = stable_seed(seed, purpose)
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
