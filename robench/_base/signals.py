"""Know whether a signal handler raised an exception.

``KeyboardInterrupt`` and ``SystemExit`` mean that the user wants an end, if a signal handler raised
them. Code of a plugin can raise them too, and can swallow those of a signal handler.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from robench._base.ending import SIGNALS

_raised: list[BaseException] = []
_watches: list[object] = []
"""One entry for each ``with`` block that is running."""


def raise_if_signalled() -> None:
    """Raise the exception of a signal handler again, if one raised inside ``watching_signals``."""
    if _raised:
        raise _raised[-1]


@contextmanager
def watching_signals() -> Iterator[None]:
    """Remember what the present handlers of signals raise; they run as before.

    In a thread other than the main one there is nothing to watch, because no handler runs there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watches.append(watch := object())
    handlers: dict[int, tuple[Any, Any]] = {}
    for number in SIGNALS:
        own = signal.getsignal(number)
        if callable(own):
            handlers[number] = own, _remembering(own)
            signal.signal(number, handlers[number][1])
    try:
        yield
    finally:
        _watches.remove(watch)
        if not _watches:
            _raised.clear()
        for number, (own, watched) in handlers.items():
            _restore(number, own, watched)


def _restore(number: int, own: Any, watched: Any) -> None:
    """Set the handler from before, unless another one was set meanwhile."""
    # A generator that nobody ended can be closed in another thread, which may not set handlers.
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is watched
    ):
        signal.signal(number, own)


def _remembering(own: Callable[[int, FrameType | None], Any]) -> Callable[..., Any]:
    """Return a handler that notes the exception of ``own``."""

    def handler(number: int, frame: FrameType | None) -> Any:
        try:
            return own(number, frame)
        except BaseException as error:
            _raised.append(error)
            raise

    return handler
