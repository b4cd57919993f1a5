"""The interface of language-model scorers: how well a substitute fits where a word stood.

Each scorer answers ``log p(substitute in context) - log p(original in context)`` in nats, the context being the ORIGINAL words around the position. A word
that the model cannot express has probability 0; what follows is the consumer of the published scores (Jia et al. 2019, ``attacks.py``): an impossible
original makes every possible substitute allowed (``+inf``), an impossible substitute never is (``-inf``), and where both are impossible the substitute is
rejected (``-inf``; NaN there).
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
class Request:
    """One position of one text: ``words`` are the whole original text, ``substitutes`` stand for ``words[position]``."""

    words: tuple[str, ...]
    position: int
    substitutes: tuple[str, ...]


class Scorer(ABC):
    """A language model with all that its answers depend on.

    Attributes:
        identity: kind, hash of weights or file, precision; part of a surface's key.
    """

    identity: str

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """Refuse early what ``log_ratios`` could not answer for these texts (their words); nothing to refuse unless overridden."""

    @abstractmethod
    def log_ratios(self, requests: Sequence[Request]) -> list[Ratios]:
        """For each request ``(substitutes,)`` log-ratios in nats, ``-inf`` to ``+inf``, never NaN."""


def ratios(original: float, substitutes: NDArray[np.float64]) -> Ratios:
    """``substitutes - original`` (log-probabilities, ``-inf`` allowed) with the published semantics of the infinite; see the module."""
    if original == -np.inf:
        return np.where(np.isneginf(substitutes), -np.inf, np.inf).astype(np.float32)
    return (substitutes - original).astype(np.float32)


def fingerprint(model: Any, tokenizer: Any) -> str:
    """SHA-256 over the weights and the vocabulary: the same from a folder, the hub, whatever the file layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    return digest.hexdigest()
