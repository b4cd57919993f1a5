"""The errors that reach a person.

Each carries one clear sentence (what, where, what to do) and the exit code it ends the process with. Anything else that escapes is a bug,
and the command line says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        failed: why -> the parts that failed for it, as a person knows them.
        done: what the finished parts brought.
    """

    def __init__(self, failed: Mapping[str, Sequence[str]], done: Sequence[Any]) -> None:
        sentences = " ".join(
            f"{', '.join(parts)}: {sentence}" for sentence, parts in failed.items()
        )
        super().__init__(
            f"Parts of the run that failed: {sum(map(len, failed.values()))}; all else is finished. {sentences}"
        )
        self.failed, self.done = failed, done


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something (NLTK frames its own in stars) without its full stop, to be put into a sentence of our own."""
    lines = [line.strip(" *") for line in str(error).splitlines()]
    return next((line.rstrip(".") for line in lines if line), type(error).__name__)
