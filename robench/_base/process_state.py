"""Settings of the process that a plugin may change, and that would change what comes after it.

A plugin runs in robench's process. ``torch.set_default_dtype`` in one of them, for example, changes
the answers of every later victim.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from robench._base.torch_settings import ANY, Setting, torch_settings


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
    Setting("the working folder", _folder, _set_folder),
    Setting("Python's recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("NumPy's handling of errors", np.geterr, _set_errors),
)


_BROKEN: Any = object()
"""Stands for a value that cannot be read, because settings contradict each other."""


class ProcessState:
    """The settings of this process as they are now.

    If torch is loaded later, those of its settings that are the same in every fresh process count
    too.
    """

    def __init__(self) -> None:
        self._before = {each.name: _read(each) for each in _settings()}

    def restore(self) -> list[str]:
        """Set everything back, and return the names of the settings that had changed."""
        changed = []
        for setting in _settings():
            value = self._before.get(setting.name, setting.usual)
            if value is ANY or value is _BROKEN or _read(setting) == value:
                continue
            changed.append(setting.name)
            setting.set(value)
        return changed


def _settings() -> tuple[Setting, ...]:
    return (*_PROCESS, *torch_settings())


def _read(setting: Setting) -> Any:
    # Torch refuses to tell a precision that was set both in its old and in its new way.
    try:
        return setting.get()
    except RuntimeError:
        return _BROKEN
