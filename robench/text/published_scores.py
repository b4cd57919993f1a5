"""Language-model scores in the format of Jia et al. 2019 (``precompute_lm_scores.py``), tab-separated.

A header ``sent_idx  sentence`` (the space-joined words in their original case) begins each text; lines ``sent_idx  word_idx  candidate  logprob`` follow for
each position whose word has neighbours, the original word among the candidates. Reading follows the published consumer: the sentence is found by its
lower-cased text, a position without lines has no swaps.

Candidates are taken as they are written, else lower-cased, which serves a lower-cased lookup (protocol ``subword``) where the file's maker looked lower-cased
words up. One who looked words up as they are written scored no capitalised word at all; such a file would leave those words without swaps in silence, so it is
refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from robench._base.errors import UsageError
from robench.text.scorer import Ratios, Request, Scorer, ratios
from robench.text.words import join_words

Positions = dict[int, dict[str, float]]


class PublishedScorer(Scorer):
    """Reads a score file: one pass notes where each sentence begins, its lines are parsed when they are asked for.

    Raises:
        UsageError: the file cannot be read or a line is not of the format (the sentence names the line).
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
                f"{self.path} has no scores for {len(missing)} of {len(texts)} texts, the first is '{missing[0][:60]}…': "
                f"score them, or name another language model."
            )

    def log_ratios(self, requests: Sequence[Request]) -> list[Ratios]:
        """See ``Scorer``; the file's own window stands, whatever the protocol's radius.

        Raises:
            UsageError: a text is not in the file, or the file has nothing on a capitalised word that is asked about.
        """
        found = []
        for request in requests:
            key = join_words(request.words).lower()
            if key not in self._begins:
                self.check([request.words])
            found.append(self._answer(request, self._block(key).get(request.position, {})))
        return found

    def _answer(self, request: Request, scores: Mapping[str, float]) -> Ratios:
        word = request.words[request.position]
        original = scores.get(word, scores.get(word.lower()))
        if original is None and word != word.lower():
            raise UsageError(
                f"{self.path} has no score for the capitalised word '{word}' in '{join_words(request.words)[:60]}…': its words were looked up as they are "
                f"written. Use it with a protocol that does the same, such as rift2021, or name another language model."
            )
        if original is None:
            return np.full(len(request.substitutes), -np.inf, np.float32)
        logs = [
            scores.get(substitute, scores.get(substitute.lower(), -math.inf))
            for substitute in request.substitutes
        ]
        return ratios(original, np.array(logs, dtype=np.float64))

    def _read_block(self, key: str) -> Positions:
        positions: Positions = {}
        begin, number = self._begins[key]
        with self.path.open("rb") as file:
            file.seek(begin)
            for offset, line in enumerate(file):
                parts = line.decode("utf-8").rstrip("\r\n").split("\t")
                if offset and len(parts) == 2:
                    break
                if offset:
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
            f"Line {number} of {path} must be 'sent_idx, word_idx, candidate, logprob' between tabs, got {parts[:4]}."
        ) from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _index(path: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """Lower-cased sentence -> (byte offset of its header, line number); and the file's SHA-256. The first of equal sentences stands."""
    begins: dict[str, tuple[int, int]] = {}
    digest, offset = hashlib.sha256(), 0
    for number, line in enumerate(_lines(path), start=1):
        digest.update(line)
        tabs = line.count(b"\t")
        if tabs == 1:
            begins.setdefault(
                line.decode("utf-8").rstrip("\r\n").split("\t")[1].lower(), (offset, number)
            )
        elif tabs != 3 or not begins:
            raise UsageError(
                f"Line {number} of {path} is neither 'sent_idx, sentence' nor 'sent_idx, word_idx, candidate, logprob' between tabs."
            )
        offset += len(line)
    return begins, digest.hexdigest()
