"""A victim as TextAttack sees a model: texts in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from textattack.models.wrappers import ModelWrapper

from robench.search.texts import pooled_probs
from robench.search.victim_protocol import SearchVictim


class VictimWrapper(ModelWrapper):
    """Asks a victim from the string up, as a verdict does; ``[UNK]`` in a text is its unknown token.

    Args:
        victim: what ``Victim.load`` returns.
        fields: names of its fields in the order of the data set's columns.
    """

    def __init__(self, victim: SearchVictim, fields: Sequence[str]) -> None:
        self.model = victim
        self.tokenizer = getattr(victim, "tokenizer", None)
        self._fields = tuple(fields)
        self._victim = victim

    def __call__(self, text_input_list: Sequence[str | Sequence[str]]) -> NDArray[np.float32]:
        """``(texts, classes)`` probabilities: TextAttack takes what sums to 1 as it is."""
        return pooled_probs(self._victim, [self._named(columns) for columns in text_input_list])

    def _named(self, columns: str | Sequence[str]) -> Mapping[str, str]:
        return dict(
            zip(self._fields, [columns] if isinstance(columns, str) else columns, strict=True)
        )
