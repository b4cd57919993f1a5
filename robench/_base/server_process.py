"""What the fork server imports first: it ends with the process that started it.

Importing this module anywhere else has no effect.
"""

from __future__ import annotations

import json
import os
import sys

from robench._base.process_end import killed_with_starter

RESTORE = "ROBENCH_FORK_SERVER_RESTORE"
"""Environment variable of a server: the variables that it has to set back, as JSON."""
_CHECKS_OF_CUDA = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""With ``"1"``, torch looks for GPUs without starting CUDA, which must not run before a fork."""


def take_environment(environment: dict[str, str | None]) -> None:
    """Set the variables to these values; None removes one."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        elif os.environ.get(name) != value:
            os.environ[name] = value


def _is_server() -> bool:
    """Return whether this process is a fork server that robench started."""
    return RESTORE in os.environ and any(
        "multiprocessing.forkserver" in each for each in sys.orig_argv
    )


if _is_server():
    killed_with_starter()
    take_environment(json.loads(os.environ[RESTORE]))
    # Each child takes the environment of its parent, without this variable.
    os.environ.setdefault(_CHECKS_OF_CUDA, "1")
