"""The errors that reach a user.

Each error carries one clear sentence: what happened, where, and what to do. It also carries the
exit code of the process. Any other exception that escapes is a bug, and the command line says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robench._base import escaping

FIRST_LINE = 500
"""Characters of another library's message that stand in a sentence of our own."""


class RobenchError(Exception):
    """A run that failed for a reason the user can act on: exit code 1."""

    exit_code = 1


class UsageError(RobenchError):
    """A request that cannot be carried out as given: exit code 2.

    Examples are an unknown name, a wrong option and a missing file.
    """

    exit_code = 2


class Incomplete(RobenchError):
    """Some parts of a run failed and the others finished: exit code 1.

    Attributes:
        failed: reason -> the parts that failed for this reason, named as the user knows them.
        done: the results of the finished parts.
    """

    def __init__(self, failed: Mapping[str, Sequence[str]], done: Sequence[Any]) -> None:
        count = sum(len(parts) for parts in failed.values())
        reasons = [f"{', '.join(parts)}: {reason}" for reason, parts in failed.items()]
        super().__init__(
            f"Parts of the run that failed: {count}; all else is finished. {' '.join(reasons)}"
        )
        self.failed, self.done = failed, done


def first_line(error: BaseException) -> str:
    """Return the first meaningful line of an error's message, without its full stop.

    The result fits into a sentence of our own: it is bounded and holds no control character. An
    error without a message gives its class name.
    """
    for line in escaping.text_of(error)[: 16 * FIRST_LINE].splitlines():
        # NLTK frames its messages in lines of stars.
        text = line.strip(" *")
        if text:
            return escaping.one_line(text.rstrip("."), FIRST_LINE)
    return type(error).__name__


def one_line(error: object) -> str:
    """Return the text of an error on one line, or ``"no message"`` where it has none.

    It is bounded, and holds no control character (``escaping.one_line``).
    """
    return escaping.one_line(error) or "no message"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python's or torch's memory ran out."""
    # torch's class goes by its name, so that torch need not be imported.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
