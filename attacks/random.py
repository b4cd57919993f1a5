"""Random search: the floor that every attack should be above."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import ask_until_misclassified, genes_to_choices

BLOCK = 64
"""Texts queried at once."""


@ATTACKS.register("random")
class Random(Attack):
    """Draw texts of the space at random until one fools the victim.

    Every option of every position is equally likely, the original word too.
    """

    paper = "none: a baseline, uniform draws from the whole space with replacement"
    cost = "up to draws texts"
    deviations = (
        f"Texts are queried in blocks of {BLOCK}, so up to {BLOCK - 1} queries after the success"
        " are counted.",
    )
    access = "labels"
    language_model = True

    class Options(Attack.Options):
        """Length of the search."""

        draws: int = Field(
            10_000, ge=1, description="Texts drawn at most.", json_schema_extra={"unit": "texts"}
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        return ask_until_misclassified(oracle, self._blocks(space, rng), label)

    def _blocks(self, space: SearchSpace, rng: np.random.Generator) -> Iterator[NDArray[np.int16]]:
        sizes = space.sizes[space.positions]
        for start in range(0, self.options.draws, BLOCK):
            drawn = rng.integers(sizes, size=(BLOCK, len(sizes)), dtype=np.int16)
            yield genes_to_choices(drawn[: self.options.draws - start], space)
