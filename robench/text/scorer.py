"""The interface of language-model scorers: how well a substitute fits in the place of a word.

A scorer returns ``log p(substitute in context) - log p(original in context)`` in nats. The context
is made of the ORIGINAL words around the position.

A word that the model cannot express has probability 0. The consequences are those in the code that
reads the published scores (Jia et al. 2019, ``attacks.py``):

* if the original is impossible, every possible substitute is allowed (``+inf``);
* an impossible substitute is never allowed (``-inf``);
* if both are impossible, the substitute is rejected (``-inf``; that code has NaN).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ratios = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One position of one text, whose substitutes are to be scored.

    Attributes:
        words: all words of the original text.
        position: index of the word to replace.
        substitutes: the words that may replace ``words[position]``.
    """

    words: tuple[str, ...]
    position: int
    substitutes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoreCoverage:
    """How many of the requested words a file of scores knows.

    Attributes:
        texts: texts of the surface.
        split_otherwise: texts that the file splits into other words; their words are matched.
        positions: words that have a substitute.
        positions_without: those of them without scores, so that the constraint leaves them no
            substitute.
        substitutes: substitutes of all these words.
        substitutes_without: those of them without a score, which the constraint forbids.
    """

    texts: int = 0
    split_otherwise: int = 0
    positions: int = 0
    positions_without: int = 0
    substitutes: int = 0
    substitutes_without: int = 0

    def __add__(self, other: ScoreCoverage) -> ScoreCoverage:
        """Return the sums."""
        return ScoreCoverage(
            *(getattr(self, each) + getattr(other, each) for each in self.__slots__)
        )


class Scorer(ABC):
    """A language model, with everything that its scores depend on.

    Attributes:
        identity: kind, hash of the weights or of the file, and precision; part of a surface's key.
    """

    identity: str

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """Raise UsageError early if ``log_ratios`` cannot score these texts, given as words.

        Each text is split into words when it is asked for, so a scorer that looks at all of them
        splits all of them. The default accepts every text and asks for none.
        """

    def coverage(
        self, words: Sequence[str], requests: Sequence[ScoringRequest]
    ) -> ScoreCoverage | None:
        """Return what is known of one text, or None for a model, which scores every word.

        Args:
            words: all words of the text.
            requests: its positions with substitutes.
        """
        return None

    @abstractmethod
    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        """Return ``(substitutes,)`` log-ratios for each request.

        They are in nats, from ``-inf`` to ``+inf``, and never NaN.
        """


def ratios(original: float, substitutes: NDArray[np.float64]) -> Ratios:
    """Return ``substitutes - original``, where all are log-probabilities and may be ``-inf``.

    Infinite values are treated as in the published code; see the module's docstring.
    """
    if original == -np.inf:
        return np.where(np.isneginf(substitutes), -np.inf, np.inf).astype(np.float32)
    return (substitutes - original).astype(np.float32)


def fingerprint(model: Any, tokenizer: Any) -> str:
    """Return the SHA-256 over the weights and the vocabulary.

    It does not depend on where the files come from (a folder or the hub) or on their layout.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    return digest.hexdigest()
