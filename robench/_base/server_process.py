"""What the fork server imports first: it ends with the process that started it.

Importing this module anywhere else has no effect.
"""

from __future__ import annotations

import sys
from multiprocessing import parent_process

from robench._base.process_end import killed_with_starter


def _is_server() -> bool:
    """Return whether this process is a fork server of ``multiprocessing``."""
    return (
        sys.argv == ["-c"]
        and "multiprocessing.forkserver" in sys.modules
        and parent_process() is None
    )


if _is_server():
    killed_with_starter()
