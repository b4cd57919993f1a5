"""What the fork server imports first: it ends with the process that started it.

Importing this module anywhere else has no effect.
"""

from __future__ import annotations

import json
import os
import sys

from robench._base.process_end import killed_with_starter

TOLD = "ROBENCH_FORK_SERVER_TOLD"
"""Environment variable of a server, which it removes: what it is told, as JSON.

``starter`` is the number of the process that started it, and ``variables`` are those that it has to
set back; null removes one.
"""
_CHECKS_OF_CUDA = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""With ``"1"``, torch looks for GPUs without starting CUDA, which must not run before a fork."""

number: int | None = None
"""In a server and in the processes that it has forked: the server's process number."""


def take_environment(environment: dict[str, str | None]) -> None:
    """Set the variables to these values; None removes one."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        elif os.environ.get(name) != value:
            os.environ[name] = value


def _is_server() -> bool:
    """Return whether this process is a fork server that robench started."""
    return TOLD in os.environ and any(
        "multiprocessing.forkserver" in each for each in sys.orig_argv
    )


if _is_server():
    number = os.getpid()
    killed_with_starter()
    told = json.loads(os.environ.pop(TOLD))
    # It may have ended before.
    if os.getppid() != told["starter"]:
        os._exit(1)
    take_environment(told["variables"])
    # Each child takes the environment of its parent, without this variable.
    os.environ.setdefault(_CHECKS_OF_CUDA, "1")
