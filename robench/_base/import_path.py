"""Keep the current folder out of what Python imports, because it may be a stranger's.

``python -m robench`` puts the current folder in front of everything that can be imported. A file
``csv.py`` or ``scipy.py`` there, or a folder ``NAME.dist-info`` with entry points, would run as
code. Python does the same in every process that robench starts. So this module is the first that
``robench`` imports, and it imports only what Python itself has loaded already.

In a checkout that is not installed, the current folder is where robench lies. There it stays.
"""

import os
import sys

COMMANDS = ("robench", "robench.exe", "robench-script.py")
"""Names of the files that start the command line."""
SAFE_PATH = "PYTHONSAFEPATH"
"""The variable by which Python leaves the current folder out; processes inherit it."""


def is_command() -> bool:
    """Return whether this process is the command line, and not a program that imports robench."""
    started = sys.argv[0] if sys.argv else ""
    # While Python looks for the module of ``-m``, the first argument is "-m".
    if started == "-m":
        return any(each in ("robench", "-mrobench") for each in sys.orig_argv)
    return os.path.basename(started) in COMMANDS  # noqa: PTH119


def leave_current_folder() -> None:
    """Take the current folder out of the search path, here and in the processes of this one."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120
    here = os.path.realpath(os.curdir)
    if here == own:
        return
    os.environ[SAFE_PATH] = "1"
    if sys.flags.safe_path:
        return
    # Only ``-m`` puts it there. A folder that PYTHONPATH names comes after it and stays.
    if sys.argv[:1] == ["-m"] and sys.path and os.path.realpath(sys.path[0] or os.curdir) == here:
        del sys.path[0]


if is_command():
    leave_current_folder()
