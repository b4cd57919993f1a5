"""Say in one bounded sentence what went wrong in code of others.

An exception of a plugin is an object of the plugin: making its message runs the plugin's code, and
the message can be as long as it likes. A trial holds a text of at most ``MOST`` characters.
"""

from __future__ import annotations

from robench._base.escaping import one_line

MOST = 500
"""Characters of a trial's ``problem``."""
SHOWN = 440
"""Characters of a longer message that are kept; its whole length stands behind them."""


def bounded(text: str) -> str:
    """Return ``text`` on one line of at most ``MOST`` visible characters."""
    line = one_line(text, MOST if len(text) <= MOST else SHOWN)
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"


def describe_error(error: BaseException) -> str:
    """Return an error's type and message; the type alone if its message cannot be made."""
    # Whatever the plugin's class does when it is read must not end the run.
    try:
        name = _plain(type(error).__name__)
    except BaseException:
        name = "an exception without a name"
    try:
        text = _plain(str(error))
    except BaseException:
        return bounded(name)
    return bounded(f"{name}: {text}" if text else name)


def _plain(text: str) -> str:
    """Return a text as a ``str`` of no subclass."""
    return str.__getitem__(text, slice(None))
