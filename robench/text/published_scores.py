"""Language-model scores in the tab-separated format of Jia et al. 2019.

Their ``precompute_lm_scores.py`` writes such a file. Each text begins with a header
``sent_idx  sentence``, where the sentence is the words in their original case, joined by blanks.
Lines ``sent_idx  word_idx  candidate  logprob`` follow for each position whose word has neighbours;
the original word is one of the candidates.

The file is read as in the published code: a sentence is found by its lower-cased text, and a
position without lines has no substitutes.

A candidate is looked up as it is written, then lower-cased. The second serves a lower-cased lookup
(protocol ``subword``), if the file's maker looked up lower-cased words. If the maker looked up
words as they are written, capitalised words have no scores. Such a file would silently leave those
words without substitutes, so it is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from robench._base.errors import UsageError
from robench.text.scorer import Ratios, Scorer, ScoringRequest, ratios
from robench.text.words import join_words

Positions = dict[int, dict[str, float]]


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
        except OSError as error:
            raise UsageError(
                f"The language-model scores {path} cannot be read: {error.strerror}."
            ) from error
        self.identity = f"file:{sha256}"
        self._block = lru_cache(maxsize=8)(self._read_block)

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """Raise UsageError unless every text is in the file."""
        missing = [text for text in map(join_words, texts) if text.lower() not in self._begins]
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
        found = []
        for request in requests:
            key = join_words(request.words).lower()
            if key not in self._begins:
                self.check([request.words])
            scores = self._block(key).get(request.position, {})
            found.append(self._answer(request, scores))
        return found

    def _answer(self, request: ScoringRequest, scores: Mapping[str, float]) -> Ratios:
        word = request.words[request.position]
        original = scores.get(word, scores.get(word.lower()))
        if original is None and word != word.lower():
            raise UsageError(
                f"{self.path} has no score for the capitalised word '{word}' in "
                f"'{join_words(request.words)[:60]}…': its words were looked up as they are "
                "written. Use it with a protocol that does the same, such as rift2021, "
                "or name another language model."
            )
        if original is None:
            return np.full(len(request.substitutes), -np.inf, np.float32)
        logs = [
            scores.get(substitute, scores.get(substitute.lower(), -math.inf))
            for substitute in request.substitutes
        ]
        return ratios(original, np.array(logs, dtype=np.float64))

    def _read_block(self, key: str) -> Positions:
        """Parse the lines of one sentence: position -> candidate -> log-probability."""
        positions: Positions = {}
        begin, number = self._begins[key]
        with self.path.open("rb") as file:
            file.seek(begin)
            for offset, line in enumerate(file):
                parts = line.decode("utf-8").rstrip("\r\n").split("\t")
                if offset == 0:
                    # The header of this sentence.
                    continue
                if len(parts) == 2:
                    # The header of the next sentence.
                    break
                _, position, word, score = _fields(parts, number + offset, self.path)
                positions.setdefault(position, {})[word] = score
        return positions


def _fields(parts: list[str], number: int, path: Path) -> tuple[int, int, str, float]:
    try:
        sentence, position, word, score = parts
        value = float(score)
        if math.isnan(value):
            raise ValueError(score)
        return int(sentence), int(position), word, value
    except ValueError as error:
        raise UsageError(
            f"Line {number} of {path} must be 'sent_idx, word_idx, candidate, logprob' "
            f"separated by tabs, got {parts[:4]}."
        ) from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _index(path: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """Return where each sentence begins, and the file's SHA-256.

    The first value maps a lower-cased sentence to the byte offset and the line number of its
    header. Of equal sentences, the first one counts.
    """
    begins: dict[str, tuple[int, int]] = {}
    digest, offset = hashlib.sha256(), 0
    for number, line in enumerate(_lines(path), start=1):
        digest.update(line)
        tabs = line.count(b"\t")
        if tabs == 1:
            sentence = line.decode("utf-8").rstrip("\r\n").split("\t")[1]
            begins.setdefault(sentence.lower(), (offset, number))
        elif tabs != 3 or not begins:
            raise UsageError(
                f"Line {number} of {path} is neither 'sent_idx, sentence' nor "
                "'sent_idx, word_idx, candidate, logprob' separated by tabs."
            )
        offset += len(line)
    return begins, digest.hexdigest()
