"""Facts about the machine that a run uses: device, software and memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from robench._base.child import peak_of_forked
from robench._base.errors import UsageError

Precision = Literal["fp32", "bf16"]
"""Precision of forward passes in training, in searches and of a language model.

Weights always stay fp32.
"""

DEVICES = ("cpu", "cuda", "mps")
"""The kinds of torch devices that a run can use."""

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
"""Packages whose version can change a result."""


def choose_device(spec: str) -> str:
    """Return the torch device string for ``--device``; ``"auto"`` takes a GPU where there is one.

    Raises:
        UsageError: this machine has no such device.
    """
    import torch

    if spec == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind, index = torch.device(spec).type, torch.device(spec).index
    except RuntimeError:
        kind, index = "", 0
    # torch knows more kinds, such as 'meta', on which nothing can be trained.
    if kind not in DEVICES:
        raise UsageError(f"There is no device '{spec}'. Use auto, cpu, cuda, cuda:1 or mps.")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    no_cuda = kind == "cuda" and (index or 0) >= gpus
    no_mps = kind == "mps" and not torch.backends.mps.is_available()
    if no_cuda or no_mps:
        raise UsageError(
            f"Device '{spec}' is not there: torch {torch.__version__} sees {gpus} CUDA device(s) "
            "on this machine. Use --device auto or cpu."
        )
    return spec


def describe_device(device: str) -> str:
    """Name the hardware: ``"NVIDIA H100 80GB HBM3"`` or ``"AMD EPYC 9R14 (2 cores)"``."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    processor = f"{_processor_name()} ({available_cores()} cores)"
    return processor if device == "cpu" else f"{device} of {processor}"


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux states the limits of a container."""
_MEMORY_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""The files with a container's memory limit and use, for control groups version 2 and version 1."""


def available_memory() -> int:
    """Return the bytes that new processes can use.

    Using no more than this causes no swapping and stays below the limit of a container.
    """
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_container()])


def _left_in_container() -> Iterator[int]:
    for limit_file, use_file in _MEMORY_FILES:
        try:
            limit = int((CGROUPS / limit_file).read_text())
            use = int((CGROUPS / use_file).read_text())
        except (OSError, ValueError):
            # There is no such file, or it says "max": no limit.
            continue
        yield max(0, limit - use)


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of ``PACKAGES``, by name, without absent packages."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        installed = _version(package)
        if installed is not None:
            found[package] = installed
    return found


# Reading the metadata of a package takes milliseconds, and a training run asks several times.
@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def reset_peak_memory(device: str) -> None:
    """Start a new measurement of ``peak_memory``.

    It has no effect on a CPU, where the peak is always that of the whole process.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str, *, children: bool = True) -> tuple[int | None, str]:
    """Return the peak memory use in bytes, or None and the reason why it is not known.

    On CUDA the peak counts from the last ``reset_peak_memory``. Elsewhere it counts from the start
    of this process.

    Args:
        device: the torch device string.
        children: whether a larger peak of a finished child process counts instead. CUDA ignores it.

    Returns:
        The bytes and an empty string, or None and the reason.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device), ""
    try:
        import resource
    except ImportError:
        return None, "this operating system does not report it"
    # macOS reports bytes, Linux KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if children:
        started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        peak = max(peak, started, peak_of_forked())
    return peak * unit, ""
