"""Where a training run happens: Accelerate, seeds, and what a record says of the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import random
import resource
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robench.errors import UsageError


def make_accelerator(device: str, precision: str, tracker: str | None, logs: Path) -> Any:
    """Accelerate for one run on ``device``; its process-wide state is begun afresh unless ``accelerate launch`` started several processes.

    Args:
        logs: where a tracker writes; its last part names the run.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import patch_environment

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"There is no GPU here for --device {device}. Use --device cpu.")
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if alone:
        AcceleratorState._reset_state(reset_partial_state=True)
    where = {"ACCELERATE_TORCH_DEVICE": device} if alone else {}
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
        raise UsageError(f"Accelerate cannot train on '{device}' in {precision} with tracker {tracker!r} ({error}).") from error
    return accelerator


def stable_seed(*parts: str | int) -> int:
    """A seed in [0, 2^32) made of ``parts``, the same on every machine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def seed_everything(seed: int, purpose: str) -> None:
    """Seed torch (all devices), NumPy's global state and ``random`` from (seed, purpose)."""
    value = stable_seed(seed, purpose)
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def peak_memory(device: torch.device) -> int:
    """Bytes: of the process on a CPU (since it began), of the allocator on a GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_name(device: torch.device) -> str:
    """What a record calls the device: ``"cpu"`` or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> Mapping[str, str]:
    """Of everything that a number may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("robench", "torch", "transformers", "accelerate", "numpy")}}
