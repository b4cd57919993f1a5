"""Import TextAttack, or say in one sentence why it cannot be imported."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from robench._base.errors import UsageError, first_line

TEXTATTACK_VERSION = "0.3.11"
"""The version that the families are written for: they rely on more than its public interface."""

TEXTATTACK_BATCH = 1024
"""Texts of one TextAttack query that are asked about together."""


def require_textattack() -> None:
    """Import TextAttack.

    Raises:
        UsageError: TextAttack, or something that its import needs, is missing.
    """
    if find_spec("textattack") is None:
        raise UsageError("TextAttack is not installed. Run: pip install 'robench[textattack]'.")
    # Without the stop words, TextAttack's import tries the network for minutes and then fails.
    if not has_nltk_data("corpora/stopwords"):
        raise UsageError(
            "TextAttack needs NLTK's stop words, which are not here."
            " Run: python -m nltk.downloader stopwords."
        )
    try:
        with _enabled_loggers():
            import_module("textattack")
    # TextAttack imports flair, datasets and transformers. Their installed versions can clash
    # in any way, so any exception may come out of the import.
    except Exception as error:
        raise UsageError(
            f"TextAttack cannot be imported ({type(error).__name__}: {first_line(error)})."
            " Run: pip install 'robench[textattack]'."
        ) from error


def require_tested_textattack(name: str) -> None:
    """Import TextAttack in the version that the families are written for.

    Args:
        name: the family of attacks that needs it, for the sentence.

    Raises:
        UsageError: TextAttack is missing, or it is another version.
    """
    require_textattack()
    found = version("textattack")
    if found != TEXTATTACK_VERSION:
        raise UsageError(
            f"{name} is written for TextAttack {TEXTATTACK_VERSION}; here is {found}."
            " Run: pip install 'robench[textattack]'."
        )


@contextmanager
def _enabled_loggers() -> Iterator[None]:
    """Enable all loggers again that TextAttack's import disables.

    The import configures logging in a way that silences every existing logger, robench's and the
    user's included.
    """
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
    """Return whether NLTK finds a resource such as ``"corpora/stopwords"``.

    A resource is either unpacked or the archive that NLTK's downloader leaves.
    """
    import nltk

    for name in (resource, f"{resource}.zip"):
        try:
            nltk.data.find(name)
        except LookupError:
            continue
        return True
    return False
