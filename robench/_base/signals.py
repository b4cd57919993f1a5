"""Know whether a signal handler raised an exception.

``KeyboardInterrupt`` and ``SystemExit`` mean that the user wants an end, if a signal handler raised
them. Code of a plugin can raise them too, and can swallow those of a signal handler.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any

from robench._base.ending import SIGNALS

_raised: list[BaseException] = []
_watches: list[object] = []
"""One entry for each ``with`` block that is running."""
_behind: dict[Callable[..., Any], Callable[..., Any]] = {}
"""Handlers that remember, and the handler that each of them calls."""


def raise_if_signalled() -> None:
    """Raise the exception of a signal handler again, if one raised inside ``watching_signals``."""
    if _raised:
        raise _raised[-1]


@contextmanager
def watching_signals() -> Iterator[None]:
    """Remember what the present handlers of signals raise; they run as before.

    Blocks may overlap in any order. The last one that ends sets the handlers back.
    In a thread other than the main one there is nothing to watch, because no handler runs there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _watches:
        _raised.clear()
    _watches.append(watch := object())
    for number in SIGNALS:
        own = signal.getsignal(number)
        if callable(own) and not _remembers(own):
            signal.signal(number, _remembering(own))
    try:
        yield
    finally:
        _watches.remove(watch)
        if not _watches:
            _raised.clear()
            _restore()


def _restore() -> None:
    """Set the handlers from before, unless others were set meanwhile."""
    # A generator that nobody ended can be closed in another thread, which may not set handlers.
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        watched: Any = signal.getsignal(number)
        if _remembers(watched):
            signal.signal(number, _behind.pop(watched))


def _remembers(handler: object) -> bool:
    # The handlers of others may have no hash.
    return isinstance(handler, FunctionType) and handler in _behind


def _remembering(own: Callable[[int, FrameType | None], Any]) -> Callable[..., Any]:
    """Return a handler that notes the exception of ``own`` while something watches."""

    def handler(number: int, frame: FrameType | None) -> Any:
        try:
            return own(number, frame)
        except BaseException as error:
            if _watches:
                _raised.append(error)
            raise

    _behind[handler] = own
    return handler
