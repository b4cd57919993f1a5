"""Settings of the process that a plugin may change, and that would change what comes after it.

A plugin runs in robench's process. ``torch.set_default_dtype`` in one of them, for example, changes
the answers of every later victim.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_ANY: Any = object()
"""Stands for a value that a fresh process need not have."""


@dataclass(frozen=True)
class _Setting:
    """One setting.

    Attributes:
        name: its name for people.
        get: reads it.
        set: sets it.
        usual: its value in a fresh process, where every fresh process has the same.
    """

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], object]
    usual: Any = _ANY


def _set_errors(errors: Any) -> None:
    np.seterr(**errors)


def _folder() -> Path | None:
    # The folder may have been removed.
    try:
        return Path.cwd()
    except OSError:
        return None


def _set_folder(folder: Path | None) -> None:
    if folder is not None:
        os.chdir(folder)


_PROCESS = (
    _Setting("the working folder", _folder, _set_folder),
    _Setting("Python's recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting("NumPy's handling of errors", np.geterr, _set_errors),
)


def _torch_settings() -> tuple[_Setting, ...]:
    """Return torch's settings, where torch is loaded."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ()
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    return (
        _Setting(
            "torch's default dtype",
            torch.get_default_dtype,
            torch.set_default_dtype,
            torch.float32,
        ),
        # Setting the usual device itself would cost time at every call of torch.
        _Setting(
            "torch's default device",
            lambda: str(torch.get_default_device()),
            lambda device: torch.set_default_device(None if device == "cpu" else device),
            "cpu",
        ),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting(
            "torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, usual=True
        ),
        _Setting(
            "torch's deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
        _Setting(
            "torch's precision of float32 products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        _Setting(
            "torch's autocast",
            lambda: torch.is_autocast_enabled("cpu"),
            lambda on: torch.set_autocast_enabled("cpu", on),
            usual=False,
        ),
        _Setting("cuDNN's deterministic mode", *_attribute(cudnn, "deterministic")),
        _Setting("cuDNN's benchmark mode", *_attribute(cudnn, "benchmark")),
        _Setting("cuDNN's TF32 mode", *_attribute(cudnn, "allow_tf32")),
        _Setting("CUDA's TF32 mode", *_attribute(products, "allow_tf32")),
    )


def _attribute(module: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return lambda: getattr(module, name), lambda value: setattr(module, name, value)


class ProcessState:
    """The settings of this process as they are now.

    If torch is loaded later, those of its settings that are the same in every fresh process count
    too.
    """

    def __init__(self) -> None:
        self._before = {each.name: each.get() for each in (*_PROCESS, *_torch_settings())}

    def restore(self) -> list[str]:
        """Set everything back, and return the names of the settings that had changed."""
        changed = []
        for setting in (*_PROCESS, *_torch_settings()):
            value = self._before.get(setting.name, setting.usual)
            if value is not _ANY and setting.get() != value:
                changed.append(setting.name)
                setting.set(value)
        return changed
