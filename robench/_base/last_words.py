"""Say why a process ended, where it has no chance to say it itself.

Code in C can end the process without a trace, and then not even the exit code tells. So a small
shell waits beside the process, and prints a sentence if the process ends inside the block.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SCRIPT = 'read -r word || printf "%s\\n" "$1" >&2'
"""Wait for a line. The end of the pipe without a line means that the process has ended."""


@contextmanager
def last_words(sentence: str) -> Iterator[None]:
    """Let a shell print ``sentence`` on stderr if this process ends while the block runs.

    A system without a shell prints nothing.

    Args:
        sentence: one line, without control codes.
    """
    import subprocess

    shell = shutil.which("sh")
    if shell is None:
        yield
        return
    watcher = subprocess.Popen(
        [shell, "-c", SCRIPT, "sh", sentence],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        bufsize=0,
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        # Ctrl-C ends the shell, too.
        with suppress(OSError):
            watcher.stdin.write(b"done\n")
        watcher.stdin.close()
        watcher.wait()
