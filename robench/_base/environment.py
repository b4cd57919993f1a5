"""Where a run happens: device, software, memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from robench._base.errors import UsageError

Precision = Literal["fp32", "bf16"]
"""Of forward passes, in training, in searches and of a language model; wherever it is chosen, weights stay fp32."""

DEVICES = ("cpu", "cuda", "mps")
"""Kinds of torch devices that a run can take."""

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "numpy",
    "nltk",
    "greenlet",
    "safetensors",
    "textattack",
)
"""Those whose version can move a number."""


def choose_device(spec: str) -> str:
    """The torch device string for ``--device``: ``"auto"`` takes a GPU where there is one.

    Raises:
        UsageError: no such device here.
    """
    import torch

    if spec == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind, index = torch.device(spec).type, torch.device(spec).index
    except RuntimeError:
        kind, index = "", 0
    if kind not in DEVICES:  # torch knows more, such as 'meta', on which nothing can be trained
        raise UsageError(f"There is no device '{spec}'. Use auto, cpu, cuda, cuda:1 or mps.")
    missing = kind == "cuda" and (
        not torch.cuda.is_available() or (index or 0) >= torch.cuda.device_count()
    )
    if missing or (kind == "mps" and not torch.backends.mps.is_available()):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise UsageError(
            f"Device '{spec}' is not there: torch {torch.__version__} sees {count} CUDA device(s) on this machine. Use --device auto or cpu."
        )
    return spec


def describe_device(device: str) -> str:
    """The device in words: ``"NVIDIA H100 80GB HBM3"``, ``"AMD EPYC 9R14 (2 cores)"``."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    processor = f"{_processor()} ({available_cores()} cores)"
    return processor if device == "cpu" else f"{device} of {processor}"


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux says what a container may have."""
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Bound and use by the second and the first version of control groups."""


def available_memory() -> int:
    """Bytes that new processes can have without swapping, and without a container's bound being met."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_container()])


def _left_in_container() -> Iterator[int]:
    for bound, use in _LIMITS:
        try:
            yield max(0, int((CGROUPS / bound).read_text()) - int((CGROUPS / use).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers, by name; absent ones are left out."""
    found = {package: _version(package) for package in PACKAGES}
    return {"python": platform.python_version()} | {
        package: there for package, there in found.items() if there is not None
    }


@cache
def _version(package: str) -> str | None:
    """Of an installed package; reading its metadata takes milliseconds, and a training asks several times."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def reset_peak_memory(device: str) -> None:
    """Begin a new measurement of ``peak_memory``; without effect on a CPU, whose peak is that of the process."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str, *, children: bool = True) -> tuple[int | None, str]:
    """Bytes at the peak and, where they cannot be had, why not: of CUDA since ``reset_peak_memory``, else of this process since it began.

    Args:
        children: whether a larger peak of a child that has ended counts instead, on anything but CUDA.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device), ""
    try:
        import resource
    except ImportError:
        return None, "this operating system does not report it"
    unit = 1 if sys.platform == "darwin" else 1024
    processes = (
        (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    )
    return max(resource.getrusage(process).ru_maxrss for process in processes) * unit, ""
