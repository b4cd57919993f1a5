"""Language-model scores in the tab-separated format of Jia et al. 2019.

Their ``precompute_lm_scores.py`` writes such a file. Each text begins with a header
``sent_idx  sentence``, where the sentence is the words in their original case, joined by blanks.
Lines ``sent_idx  word_idx  candidate  logprob`` follow for each position whose word has neighbours;
the original word is one of the candidates.

The file is read as in the published code: a sentence is found by its lower-cased text, and a
position without lines has no substitutes.

The file's maker may have split a text into other words (NLTK's own Punkt keeps "etc." whole where
robench's parameters end a sentence). Such a text is found by its characters, and its words are
matched with those of the file. A word without a partner has no scores. ``PublishedScorer.coverage``
counts what has none, and every run says so.

A candidate is looked up as it is written, then lower-cased. The second serves a lower-cased lookup
(protocol ``subword``), if the file's maker looked up lower-cased words. If the maker looked up
words as they are written, capitalised words have no scores. Such a file would silently leave those
words without substitutes, so it is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from robench._base.bounded_reading import (
    GB,
    MB,
    Bounds,
    Unreadable,
    limit_of,
    open_bounded,
    stream_lines,
)
from robench._base.errors import UsageError
from robench.text.scorer import Ratios, ScoreCoverage, Scorer, ScoringRequest, ratios
from robench.text.word_alignment import align, characters
from robench.text.words import join_words

Positions = dict[int, dict[str, float]]
# The scores of the releases have up to 1 GB.
_BOUNDS = Bounds(size=64 * GB, line=MB)


class PublishedScorer(Scorer):
    """A scorer that reads a file of scores.

    One pass records where each sentence begins. The lines of a sentence are parsed when they are
    needed.

    Raises:
        UsageError: the file cannot be read, or a line has another format (the sentence names it).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._begins, sha256 = _index(path)
            # A text of the same characters that is split otherwise; of several, the first counts.
            self._alike: dict[str, str] = {}
            for sentence in self._begins:
                self._alike.setdefault(characters(sentence.split(" ")), sentence)
        except Unreadable as error:
            raise UsageError(
                f"The language-model scores {path} cannot be read: {error.reason}."
            ) from error
        if not self._begins:
            raise UsageError(f"The file {path} is empty. It needs language-model scores.")
        self.identity = f"file:{sha256}"
        self._block = lru_cache(maxsize=8)(self._read_block)
        self._find = lru_cache(maxsize=8)(self._find_sentence)
        self._aligned = lru_cache(maxsize=8)(self._align)

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """Raise UsageError unless every text is in the file."""
        missing = [join_words(words) for words in texts if self._find(tuple(words)) is None]
        if missing:
            raise UsageError(
                f"{self.path} has no scores for {len(missing)} of {len(texts)} texts, "
                f"the first is '{missing[0][:60]}…'. Score them, or name another language model."
            )

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        """Return the file's ratios; see ``Scorer``.

        The file's scores were made with its own window, whatever the protocol's radius is.

        Raises:
            UsageError: a text is not in the file, or a requested capitalised word has no score.
        """
        return [self._answer(request, self._scores(request)) for request in requests]

    def coverage(self, words: Sequence[str], requests: Sequence[ScoringRequest]) -> ScoreCoverage:
        """Count the words and the substitutes of one text that have no score in the file."""
        exact = self._find(tuple(words)) == join_words(words).lower()
        counts = ScoreCoverage(texts=1, split_otherwise=not exact)
        for request in requests:
            scores = self._scores(request) or {}
            known = _score_of(scores, request.words[request.position]) is not None
            without = sum(_score_of(scores, each) is None for each in request.substitutes)
            counts += ScoreCoverage(
                positions=1,
                positions_without=not known,
                substitutes=len(request.substitutes),
                substitutes_without=without if known else len(request.substitutes),
            )
        return counts

    def _find_sentence(self, words: tuple[str, ...]) -> str | None:
        """Return the file's sentence of a text, or None if it has none."""
        key = join_words(words).lower()
        return key if key in self._begins else self._alike.get(characters(words))

    def _align(self, words: tuple[str, ...]) -> Mapping[int, int]:
        """Return number of a word -> number of the same word in the file's sentence."""
        sentence = self._find(words)
        if sentence is None:
            self.check([words])
        return align(words, str(sentence).split(" "))

    def _scores(self, request: ScoringRequest) -> Mapping[str, float] | None:
        """Return candidate -> log-probability at a position.

        The result is None where the file's sentence has no such word, and empty where that word
        has no scores.
        """
        position = self._aligned(request.words).get(request.position)
        sentence = self._find(request.words)
        if position is None or sentence is None:
            return None
        return self._block(sentence).get(position, {})

    def _answer(self, request: ScoringRequest, scores: Mapping[str, float] | None) -> Ratios:
        word = request.words[request.position]
        if scores is None:
            return np.full(len(request.substitutes), -np.inf, np.float32)
        original = _score_of(scores, word)
        if original is None and word != word.lower():
            raise UsageError(
                f"{self.path} has no score for the capitalised word '{word}' in "
                f"'{join_words(request.words)[:60]}…': its words were looked up as they are "
                "written. Use it with a protocol that does the same, such as rift2021, "
                "or name another language model."
            )
        if original is None:
            return np.full(len(request.substitutes), -np.inf, np.float32)
        found = [_score_of(scores, substitute) for substitute in request.substitutes]
        logs = [-math.inf if score is None else score for score in found]
        return ratios(original, np.array(logs, dtype=np.float64))

    def _read_block(self, key: str) -> Positions:
        """Parse the lines of one sentence: position -> candidate -> log-probability."""
        positions: Positions = {}
        begin, number = self._begins[key]
        with open_bounded(self.path, None) as file:
            file.seek(begin)
            for offset, (line, _) in enumerate(stream_lines(file, self.path, _BOUNDS)):
                parts = _decoded(line, number + offset, self.path).split("\t")
                if offset == 0:
                    # The header of this sentence.
                    continue
                if len(parts) == 2:
                    # The header of the next sentence.
                    break
                _, position, word, score = _fields(parts, number + offset, self.path)
                positions.setdefault(position, {})[word] = score
        return positions


def _score_of(scores: Mapping[str, float], word: str) -> float | None:
    return scores.get(word, scores.get(word.lower()))


def _fields(parts: list[str], number: int, path: Path) -> tuple[int, int, str, float]:
    try:
        sentence, position, word, score = parts
        value = float(score)
        # Minus infinity is the logarithm of the probability 0.
        if math.isnan(value) or value == math.inf:
            raise ValueError(score)
        return int(sentence), int(position), word, value
    except ValueError as error:
        raise UsageError(
            f"Line {number} of {path} must be 'sent_idx, word_idx, candidate, logprob' "
            f"separated by tabs, got {parts[:4]}."
        ) from error


def _decoded(line: bytes | None, number: int, path: Path) -> str:
    """Return a line as text, or raise UsageError if it is too long or not UTF-8."""
    if line is None:
        raise UsageError(
            f"Line {number} of {path} has more than {limit_of(_BOUNDS.line):,} bytes, so it is no "
            "line of language-model scores."
        )
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Line {number} of {path} is not UTF-8 text. Write the scores again."
        ) from error


def _index(path: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """Return where each sentence begins, and the file's SHA-256.

    The first value maps a lower-cased sentence to the byte offset and the line number of its
    header. Of equal sentences, the first one counts.
    """
    begins: dict[str, tuple[int, int]] = {}
    digest, offset = hashlib.sha256(), 0
    with open_bounded(path, _BOUNDS.size) as stream:
        for number, (line, ended) in enumerate(stream_lines(stream, path, _BOUNDS), start=1):
            tabs = 1 if line is None else line.count(b"\t")
            if tabs == 1:
                sentence = _decoded(line, number, path).split("\t")[1]
                begins.setdefault(sentence.lower(), (offset, number))
            elif tabs != 3 or not begins:
                raise UsageError(
                    f"Line {number} of {path} is neither 'sent_idx, sentence' nor "
                    "'sent_idx, word_idx, candidate, logprob' separated by tabs."
                )
            whole = (line or b"") + b"\n" * ended
            digest.update(whole)
            offset += len(whole)
    return begins, digest.hexdigest()
