"""Whether TextAttack can be had, said in one sentence where it cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from robench._base.errors import UsageError, first_line

WRITTEN_FOR = "0.3.11"
"""What runs parts of TextAttack inside robench leans on more than its public interface."""
AT_ONCE = 1024
"""Texts of one of its questions that are put together."""


def require() -> None:
    """Import TextAttack; raises UsageError where it, or what its import needs, is not here."""
    if find_spec("textattack") is None:
        raise UsageError("TextAttack is not installed. Run: pip install 'robench[textattack]'.")
    # Without the stop words its import looks for them on the network for minutes and fails.
    if not has_nltk_data("corpora/stopwords"):
        raise UsageError(
            "TextAttack needs NLTK's stop words, which are not here. Run: python -m nltk.downloader stopwords."
        )
    try:
        with _loggers_as_they_were():
            import_module("textattack")
    except Exception as error:  # it imports flair, datasets, transformers: whatever versions were installed beside it
        raise UsageError(
            f"TextAttack cannot be imported ({type(error).__name__}: {first_line(error)}). Run: pip install 'robench[textattack]'."
        ) from error


def require_tested(name: str) -> None:
    """``require``, in the version that ``name``, a family of attacks, is written for; raises UsageError for any other."""
    require()
    if version("textattack") != WRITTEN_FOR:
        raise UsageError(
            f"{name} is written for TextAttack {WRITTEN_FOR}; here is {version('textattack')}. Run: pip install 'robench[textattack]'."
        )


@contextmanager
def _loggers_as_they_were() -> Iterator[None]:
    """Its import configures logging in the way that silences every logger there is, ours and the user's."""
    loggers = [
        logger
        for logger in logging.root.manager.loggerDict.values()
        if isinstance(logger, logging.Logger) and not logger.disabled
    ]
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


def has_nltk_data(resource: str) -> bool:
    """Whether NLTK finds a resource such as ``"corpora/stopwords"``, unpacked or as the archive that its downloader leaves."""
    import nltk

    for name in (resource, f"{resource}.zip"):
        try:
            nltk.data.find(name)
        except LookupError:
            continue
        return True
    return False
