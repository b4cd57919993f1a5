"""Let this process end when the one that started it ends, on Linux at once."""

from __future__ import annotations

import signal
import sys

_PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of Linux."""


def killed_with_starter() -> None:
    """Let the system kill this process when the thread that started it ends; on Linux only."""
    if sys.platform == "linux":
        from ctypes import CDLL

        CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
