"""Import transformers and NLTK without packages that nothing here needs.

Where scikit-learn and SciPy are installed, transformers imports them with its models, for assisted
text generation and for object detection, and NLTK imports them with its tokenizers, for its own
classifiers and measures. That is about a quarter of the time until a first model is there. In
robench's own processes, commands and their children, these uses are left out. There, transformers'
assisted generation keeps its threshold, and its losses of object detection do not work. A program
that imports robench gets both libraries as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LEAN = "ROBENCH_LEAN_IMPORTS"
"""Environment variable: ``"1"`` leaves the packages out. Commands set it unless it is set."""
_PACKAGES = ("sklearn", "scipy")
_QUESTIONS = ("is_sklearn_available", "is_scipy_available")
"""Functions of ``transformers.utils`` that say whether a package may be imported."""


def lean_environment() -> None:
    """Leave the packages out in this process and in those that it starts."""
    os.environ.setdefault(LEAN, "1")


def import_transformers() -> None:
    """Import the part of transformers that every model needs, if ``LEAN`` is set.

    Only the modules that are imported here get another answer about the packages.
    """
    if os.environ.get(LEAN) != "1" or "transformers.modeling_utils" in sys.modules:
        return
    from transformers import utils

    answers = {name: getattr(utils, name) for name in _QUESTIONS if hasattr(utils, name)}
    for name in answers:
        setattr(utils, name, _not_available)
    try:
        # These ask, themselves or in what they import. Another version may have other modules.
        with suppress(ImportError):
            import transformers.generation.candidate_generator
        with suppress(ImportError):
            import transformers.modeling_utils  # noqa: F401
    finally:
        for name, answer in answers.items():
            setattr(utils, name, answer)


def import_nltk() -> None:
    """Import NLTK, if ``LEAN`` is set. It takes a package that cannot be imported for missing."""
    if os.environ.get(LEAN) != "1" or "nltk" in sys.modules:
        return
    with _missing(_PACKAGES):
        import nltk  # noqa: F401


@contextmanager
def _missing(packages: tuple[str, ...]) -> Iterator[None]:
    """Let imports of packages fail in the block, unless they were imported before."""
    hidden = [name for name in packages if name not in sys.modules]
    # None is what Python itself takes for "cannot be imported".
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _not_available() -> bool:
    return False
