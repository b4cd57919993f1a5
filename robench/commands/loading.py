"""Say on stderr which large library is being loaded, before its import takes seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

from robench.commands.saying import tell

LARGE = {
    "scipy": "SciPy",
    "torch": "PyTorch",
    "transformers": "Transformers",
    "accelerate": "Accelerate",
    "datasets": "Datasets",
    "textattack": "TextAttack",
    "sklearn": "scikit-learn",
    "matplotlib": "Matplotlib",
}
"""Module -> the name of the library, for libraries whose import can take seconds."""


class Announcer:
    """A finder on ``sys.meta_path`` that finds nothing and announces large libraries.

    Python asks it just before a module is imported for the first time. So the message comes before
    the import, and a command that imports no large library prints nothing.

    Attributes:
        say: receives ``"Loading PyTorch …"``.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._said: set[str] = set()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Announce the module where it is large; the next finder finds it."""
        if name in LARGE and name not in self._said and not _only_looked_up():
            self._said.add(name)
            self.say(f"Loading {LARGE[name]} …")
        return None


def _only_looked_up() -> bool:
    """Return whether ``importlib.util.find_spec`` asks, which looks for a module without import."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "find_spec" and "util" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


@contextmanager
def announced_imports(quiet: Callable[[], bool]) -> Iterator[None]:
    """Announce the large libraries that are imported in the block.

    Args:
        quiet: says whether nothing is to be shown; asked before each message.
    """

    def say(text: str) -> None:
        # A launcher starts several processes with the same command; one of them speaks.
        if not quiet() and os.environ.get("RANK", "0") == "0":
            tell(text)

    announcer = Announcer(say)
    sys.meta_path.insert(0, announcer)
    try:
        yield
    finally:
        sys.meta_path.remove(announcer)
