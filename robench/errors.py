"""The errors that reach a person.

Each carries one clear sentence (what, where, what to do) and the exit code it ends the process with. Anything else that escapes is a bug,
and the command line says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RobenchError(Exception):
    """A run that failed for a reason the user can act on: exit code 1."""

    exit_code = 1


class UsageError(RobenchError):
    """A request that cannot be carried out as it was put (unknown name, wrong option, missing file): exit code 2."""

    exit_code = 2


class Incomplete(RobenchError):
    """Some parts of a run failed and the others were finished: exit code 1.

    Attributes:
        done: what the finished parts brought.
    """

    def __init__(self, sentence: str, done: Sequence[Any]) -> None:
        super().__init__(sentence)
        self.done = done


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something (NLTK frames its own in stars) without its full stop, to be put into a sentence of our own."""
    lines = [line.strip(" *") for line in str(error).splitlines()]
    return next((line.rstrip(".") for line in lines if line), type(error).__name__)
