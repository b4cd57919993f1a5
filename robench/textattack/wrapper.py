"""A victim in the form in which TextAttack expects a model: texts in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from textattack.models.wrappers import ModelWrapper

from robench.search.texts import pooled_probs
from robench.search.victim_protocol import SearchVictim


class VictimWrapper(ModelWrapper):
    """Query a victim on raw texts, as the core does for a verdict.

    ``[UNK]`` in a text is the victim's unknown token.

    Args:
        victim: the victim, as ``Victim.load`` returns it.
        fields: names of its fields, in the order of the data set's columns.
    """

    def __init__(self, victim: SearchVictim, fields: Sequence[str]) -> None:
        self.model = victim
        self.tokenizer = getattr(victim, "tokenizer", None)
        self._fields = tuple(fields)
        self._victim = victim

    def __call__(self, text_input_list: Sequence[str | Sequence[str]]) -> NDArray[np.float32]:
        """Return probabilities ``(texts, classes)``; TextAttack keeps rows that sum to 1."""
        return pooled_probs(self._victim, [self._named(columns) for columns in text_input_list])

    def _named(self, columns: str | Sequence[str]) -> Mapping[str, str]:
        texts = [columns] if isinstance(columns, str) else columns
        return dict(zip(self._fields, texts, strict=True))
