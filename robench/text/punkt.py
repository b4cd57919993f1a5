"""Which Punkt parameters split texts into sentences: robench's own, or those of NLTK's data.

The choice holds for the whole process, because every room splits texts. It stands in the
environment, so that worker processes split in the same way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final, Literal

from robench._base.errors import UsageError
from robench._base.lean_imports import import_nltk

Punkt = Literal["embedded", "nltk"]
"""``"embedded"``: ``robench/embedded/punkt``. ``"nltk"``: NLTK's own, which must be installed."""
VARIABLE: Final = "ROBENCH_PUNKT"
"""Environment variable with the choice for commands that have no ``--punkt``."""
_MARK = "+punkt-"
EMBEDDED: Final = f"nltk{_MARK}embedded"
"""Stands for a ``splitter_version`` with robench's own parameters, of whatever version."""
_OF_NLTK = "nltk-"


def chosen_punkt() -> Punkt:
    """Return the choice that holds now.

    Raises:
        UsageError: the environment variable has another value.
    """
    value = os.environ.get(VARIABLE, "") or "embedded"
    if value == "embedded":
        return "embedded"
    if value == "nltk":
        return "nltk"
    raise UsageError(f"{VARIABLE} must be embedded or nltk, got '{value}'.")


@contextmanager
def using_punkt(punkt: Punkt | None) -> Iterator[None]:
    """Let a choice hold for a while; None leaves it as it is.

    Raises:
        UsageError: NLTK's own parameters are wanted and not installed.
    """
    before = os.environ.get(VARIABLE)
    if punkt is not None:
        os.environ[VARIABLE] = punkt
    try:
        # This reads the parameters, so that a run without them ends at once.
        splitter_version()
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


@cache
def sentence_tokenizer(punkt: Punkt) -> Any:
    """Return NLTK's sentence tokenizer with the chosen parameters.

    Raises:
        UsageError: NLTK's own parameters are not installed.
    """
    import_nltk()
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer(_of_nltk() if punkt == "nltk" else _embedded())


def splitter_version() -> str:
    """Return NLTK's version and a hash of the Punkt parameters that are chosen.

    The words of a text depend on nothing else.
    """
    return _version(chosen_punkt())


def is_of_nltk(splitter: str) -> bool:
    """Return whether a ``splitter_version`` names NLTK's own parameters."""
    return splitter.partition(_MARK)[2].startswith(_OF_NLTK)


def check_punkt(splitter: str | None, what: str) -> None:
    """Refuse something whose texts were split with other parameters than those chosen now.

    Args:
        splitter: the ``splitter_version`` that made it, or None where that is unknown.
        what: what it is, for the message.

    Raises:
        UsageError: its parameters are NLTK's own and those chosen are not, or the other way round.
    """
    if splitter is None or _MARK not in splitter:
        return
    ours = splitter_version()
    if is_of_nltk(splitter) == is_of_nltk(ours):
        # robench's own parameters may be newer; that stands in the keys.
        if not is_of_nltk(ours) or splitter.partition(_MARK)[2] == ours.partition(_MARK)[2]:
            return
        raise UsageError(
            f"{what} was made with other Punkt data of NLTK ({splitter}) than those that are "
            f"installed here ({ours}), so texts may split otherwise. Install the same data."
        )
    wanted = "nltk" if is_of_nltk(splitter) else "embedded"
    raise UsageError(
        f"{what} was made with the sentence parameters '{wanted}', and this run uses "
        f"'{chosen_punkt()}'. Say --punkt {wanted}, or set {VARIABLE}={wanted}."
    )


def _parameters_text() -> str:
    return (files("robench.embedded") / "punkt" / "english.json").read_text(encoding="utf-8")


def _embedded() -> Any:
    from nltk.tokenize.punkt import PunktParameters

    data = json.loads(_parameters_text())
    parameters = PunktParameters()
    parameters.abbrev_types = set(data["abbreviations"])
    parameters.collocations = {(first, second) for first, second in data["collocations"]}
    parameters.sent_starters = set(data["sentence_starters"])
    parameters.ortho_context = defaultdict(int)
    for flags, words in data["orthography"].items():
        parameters.ortho_context.update(dict.fromkeys(words, int(flags)))
    return parameters


def _of_nltk() -> Any:
    from nltk.data import find
    from nltk.tokenize.punkt import load_punkt_params

    try:
        return load_punkt_params(find("tokenizers/punkt_tab/english/"))
    except (LookupError, OSError) as error:
        raise UsageError(
            "--punkt nltk needs NLTK's own Punkt data (punkt_tab), and they are not installed "
            "here. Install them with 'python -m nltk.downloader punkt_tab', or leave --punkt out."
        ) from error


@cache
def _version(punkt: Punkt) -> str:
    if punkt == "embedded":
        digest = hashlib.sha256(_parameters_text().encode()).hexdigest()
        return f"nltk-{version('nltk')}{_MARK}{digest[:16]}"
    parameters = _of_nltk()
    content = {
        "abbreviations": sorted(parameters.abbrev_types),
        "collocations": sorted(map(list, parameters.collocations)),
        "starters": sorted(parameters.sent_starters),
        "orthography": sorted(parameters.ortho_context.items()),
    }
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return f"nltk-{version('nltk')}{_MARK}{_OF_NLTK}{digest[:16]}"
