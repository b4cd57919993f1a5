"""The errors that reach a person.

Each carries one clear sentence (what, where, what to do) and the exit code it ends the process with. Anything else that escapes is a bug,
and the command line says so.
"""

from __future__ import annotations


class RobenchError(Exception):
    """A run that failed for a reason the user can act on: exit code 1."""

    exit_code = 1


class UsageError(RobenchError):
    """A request that cannot be carried out as it was put (unknown name, wrong option, missing file): exit code 2."""

    exit_code = 2
