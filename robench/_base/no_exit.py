"""Keep the code of a plugin from ending the process.

``os._exit`` and ``os.abort`` end a process without a trace: nobody learns that a result is
missing. While a run works, they raise an error instead, which the run reports like any other.
``SystemExit`` (``sys.exit``) is an exception already, which would leave the run without a word.

``os.fork`` makes a second process, which would do the rest of the run as well. It ends before it
writes anything (``end_copy``).
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from robench._base.errors import RobenchError

NAMES = ("_exit", "abort")
"""The functions of ``os`` that raise."""
_exit_now = os._exit
_owners: list[int] = []
"""Numbers of the process that is in each open block of ``without_os_exit``."""


class EndedByCode(RobenchError):
    """Code of a plugin or a library tried to end the process."""


@contextmanager
def without_exits() -> Iterator[None]:
    """Let code that tries to end the process raise EndedByCode while the block runs."""
    with without_os_exit(), as_failure():
        yield


@contextmanager
def as_failure() -> Iterator[None]:
    """Raise EndedByCode instead of a SystemExit that leaves the block.

    That of a handler of a signal stays: a program that calls robench may end itself in this way.
    """
    try:
        yield
    except SystemExit as error:
        if _from_handler(error):
            raise
        shown = "" if error.code is None else repr(error.code)[:60]
        raise EndedByCode(
            f"Code of a plugin or a library raised SystemExit({shown}), which ends the whole "
            "process. It was not ended."
        ) from error


@contextmanager
def without_os_exit() -> Iterator[None]:
    """Let ``os._exit`` and ``os.abort`` raise EndedByCode while the block runs.

    A process that is forked in the block keeps the functions as they were, because ``os._exit``
    is how such a process ends.
    """
    before = {name: getattr(os, name) for name in NAMES}
    _owners.append(os.getpid())
    for name, function in before.items():
        setattr(os, name, _raising(name, function, os.getpid()))
    try:
        yield
    finally:
        _owners.pop()
        for name, function in before.items():
            setattr(os, name, function)


def end_copy() -> None:
    """End this process if it was forked in a block of ``without_os_exit``.

    Its fork has left the code of a plugin, and would do the work of the run a second time.
    """
    if _owners and os.getpid() != _owners[-1]:
        _exit_now(1)


def _raising(name: str, function: Callable[..., NoReturn], owner: int) -> Callable[..., NoReturn]:
    @functools.wraps(function)
    def refuse(*arguments: object) -> NoReturn:
        if os.getpid() != owner:
            function(*arguments)
        shown = ", ".join(repr(argument)[:20] for argument in arguments)
        raise EndedByCode(
            f"Code of a plugin or a library called os.{name}({shown}), which ends "
            "the whole process. It was not ended."
        )

    return refuse


def _from_handler(error: BaseException) -> bool:
    """Return whether a handler of a signal raised an error."""
    codes = {getattr(signal.getsignal(each), "__code__", None) for each in signal.valid_signals()}
    trace, codes = error.__traceback__, codes - {None}
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False
