"""The words of a text, and a text with some of its words replaced.

Words are those of NLTK (``NLTKWordTokenizer`` on Punkt sentences), as in the releases of Jia et
al. 2019, ASCC and RIFT. The Punkt parameters are robench's own (``robench/embedded/punkt``), so
results do not depend on the NLTK data that is installed. ``robench.text.punkt`` can choose others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any

from robench._base.lean_imports import import_nltk
from robench.text.punkt import Punkt, chosen_punkt, sentence_tokenizer, splitter_version

__all__ = [
    "exchange_words",
    "join_words",
    "place_words",
    "replace_spans",
    "replace_words",
    "split_words",
    "splitter_version",
    "unsplit_words",
]

_NOT_BLANK = re.compile(r"\S")


@cache
def _word_tokenizer() -> Any:
    import_nltk()
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


def split_words(text: str) -> list[str]:
    """Split ``text`` as ``nltk.word_tokenize`` does, with robench's sentence model.

    No word is empty or contains white space.
    """
    return list(_split(text))


def _split(text: str) -> tuple[str, ...]:
    return _split_with(text, chosen_punkt())


@lru_cache(maxsize=1024)
def _split_with(text: str, punkt: Punkt) -> tuple[str, ...]:
    # The result is cached because a search splits its text three times: for the search space, for
    # the clean prediction and for the verdict. On short texts this took 3 % of the search's time.
    return _split_anew(text, punkt)


def _split_anew(text: str, punkt: Punkt) -> tuple[str, ...]:
    tokenizer = _word_tokenizer()
    words: list[str] = []
    for sentence in sentence_tokenizer(punkt).tokenize(text):
        words += tokenizer.tokenize(sentence)
    return tuple(words)


def unsplit_words(words: Iterable[str]) -> set[str]:
    """Return those of ``words`` that ``split_words`` takes for one word.

    Words of ASCII letters are split together, as one text: no rule of the splitter looks beyond a
    blank between two letters. That is many times faster than one text for each word.
    """
    wanted = list(dict.fromkeys(words))
    plain = [word for word in wanted if word.isascii() and word.isalpha()]
    others = [word for word in wanted if not (word.isascii() and word.isalpha())]
    punkt = chosen_punkt()
    whole = {word for word in others if _split_anew(word, punkt) == (word,)}
    parts = [plain] if plain else []
    while parts:
        part = parts.pop()
        if _split_anew(" ".join(part), punkt) == tuple(part):
            whole.update(part)
        elif len(part) > 1:
            half = len(part) // 2
            parts += [part[:half], part[half:]]
    return whole


def replace_words(text: str, replacements: Mapping[int, str]) -> str:
    """Return ``text`` with single words replaced and every other character unchanged.

    This is how a reader sees an attack's choice. Joining the words with blanks is not enough: NLTK
    tells quotation marks and sentence ends apart by the characters around them, so half of the IMDB
    reviews would then split into other words.

    Args:
        text: the original text.
        replacements: index into ``split_words(text)`` -> the word to put there.
    """
    return replace_spans(text, _word_spans(text), replacements)


def replace_spans(
    text: str,
    spans: Sequence[tuple[int, int]],
    replacements: Mapping[int, str],
    begin: int = 0,
    end: int | None = None,
) -> str:
    """Return ``text[begin:end]`` with the spans that ``replacements`` names replaced.

    Args:
        spans: (start, stop) of each word in ``text``.
        replacements: number of a span inside ``[begin, end)`` -> the word to put there.
    """
    pieces, last = [], len(text) if end is None else end
    for index in sorted(replacements):
        start, stop = spans[index]
        # NLTK splits "cannot" and "gonna" into two words. A substitute for one half must not run
        # into the other half.
        before = " " if start and text[start - 1].isalnum() else ""
        after = (
            " "
            if stop < len(text) and text[stop].isalnum() and not text.startswith("n't", stop)
            else ""
        )
        pieces += [text[begin:start], before, replacements[index], after]
        begin = stop
    return "".join([*pieces, text[begin:last]])


def place_words(text: str, words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return a text of ``words``, and (start, end) of each word in it.

    It is ``text`` itself where ``words`` are its words: those of ``split_words``, or others
    between which only white space lies. Otherwise it is the words joined by blanks.
    """
    if tuple(words) == _split(text):
        return text, _word_spans(text)
    spans = _find_in_order(text, words)
    if spans is not None:
        return text, spans
    ends = list(accumulate(len(word) + 1 for word in words))
    return join_words(words), [
        (end - len(word) - 1, end - 1) for word, end in zip(words, ends, strict=True)
    ]


def exchange_words(text: str, words: Sequence[str], replacements: Mapping[int, str]) -> str:
    """Return the text of ``words`` (``place_words``) with single words replaced.

    This is how every verdict reads an attack's choice.

    Args:
        text: the original text.
        words: its words.
        replacements: index into ``words`` -> the word to put there.
    """
    placed, spans = place_words(text, words)
    return replace_spans(placed, spans, replacements)


def _word_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) in ``text`` for each word of ``split_words(text)``."""
    spans = _find_in_order(text, _split(text))
    if spans is not None:
        return spans
    tokenizer = _word_tokenizer()
    spans = []
    for begin, end in sentence_tokenizer(chosen_punkt()).span_tokenize(text):
        for start, stop in tokenizer.span_tokenize(text[begin:end]):
            spans.append((begin + start, begin + stop))
    return spans


def _find_in_order(text: str, words: Iterable[str]) -> list[tuple[int, int]] | None:
    """Return (start, end) of each word, if only white space lies between the words; else None.

    NLTK writes a straight quotation mark as two characters, which is allowed for.
    """
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
    """Join ``words`` by one blank."""
    return " ".join(words)
