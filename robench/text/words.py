"""Words of a text, and a text with words exchanged.

Words are NLTK's (``NLTKWordTokenizer`` over Punkt sentences), as in the releases of Jia et al. 2019, ASCC and RIFT; the Punkt parameters are
robench's own (``robench/embedded/punkt``), so results do not depend on which NLTK data is installed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

_NOT_BLANK = re.compile(r"\S")


def _parameters_text() -> str:
    return (files("robench.embedded") / "punkt" / "english.json").read_text(encoding="utf-8")


@cache
def _sentence_tokenizer() -> Any:
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    data = json.loads(_parameters_text())
    parameters = PunktParameters()
    parameters.abbrev_types = set(data["abbreviations"])
    parameters.collocations = {(first, second) for first, second in data["collocations"]}
    parameters.sent_starters = set(data["sentence_starters"])
    parameters.ortho_context = defaultdict(
        int, {word: int(flags) for flags, words in data["orthography"].items() for word in words}
    )
    return PunktSentenceTokenizer(parameters)


@cache
def _word_tokenizer() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


def split_words(text: str) -> list[str]:
    """Words of ``text``: ``nltk.word_tokenize`` with robench's sentence model. No word is empty or holds white space."""
    return list(_split(text))


@lru_cache(maxsize=1024)
def _split(text: str) -> tuple[str, ...]:
    # Remembered: a search's text is split for its space, for the clean prediction and for the verdict, which on short texts was 3 % of all its time.
    words = _word_tokenizer()
    return tuple(
        word
        for sentence in _sentence_tokenizer().tokenize(text)
        for word in words.tokenize(sentence)
    )


def replace_words(text: str, replacements: Mapping[int, str]) -> str:
    """``text`` with single words exchanged and every other character as it was: what an attack's choice looks like to a reader.

    Joining the words with blanks would not do: quotation marks and sentence ends are told apart by their surroundings, so half of IMDB's reviews
    would split into other words than those that were joined.

    Args:
        replacements: index into ``split_words(text)`` -> the word to put there.
    """
    pieces, end = [], 0
    spans = _word_spans(text)
    for index in sorted(replacements):
        start, stop = spans[index]
        # NLTK takes "cannot" and "gonna" apart: a substitute for one half must not run into the other one.
        before = " " if start and text[start - 1].isalnum() else ""
        after = (
            " "
            if stop < len(text) and text[stop].isalnum() and not text.startswith("n't", stop)
            else ""
        )
        pieces += [text[end:start], before, replacements[index], after]
        end = stop
    return "".join([*pieces, text[end:]])


def _word_spans(text: str) -> list[tuple[int, int]]:
    """Where each of ``split_words(text)`` stands in ``text``."""
    spans = _laid_out(text, _split(text))
    if spans is not None:
        return spans
    words = _word_tokenizer()
    return [
        (begin + start, begin + stop)
        for begin, end in _sentence_tokenizer().span_tokenize(text)
        for start, stop in words.span_tokenize(text[begin:end])
    ]


def _laid_out(text: str, words: Iterable[str]) -> list[tuple[int, int]] | None:
    """Where ``words`` stand, nothing but white space between them (NLTK makes two signs of a straight quotation mark); None where they do not."""
    spans, end = [], 0
    for word in words:
        found = _NOT_BLANK.search(text, end)
        start = found.start() if found else end
        if not text.startswith(word, start):
            if word not in ("``", "''") or not text.startswith('"', start):
                return None
            word = '"'
        end = start + len(word)
        spans.append((start, end))
    return spans if not text[end:].strip() else None


def join_words(words: Iterable[str]) -> str:
    """The text that ``words`` stand for: joined by one blank."""
    return " ".join(words)


@cache
def splitter_version() -> str:
    """Names everything that ``split_words`` depends on: NLTK's version and a hash of the Punkt parameters."""
    return f"nltk-{version('nltk')}+punkt-{hashlib.sha256(_parameters_text().encode()).hexdigest()[:16]}"
