"""Random search: texts of the space are drawn until one fools the victim."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace


@ATTACKS.register("random-search")
class RandomSearch(Attack):
    """Draw random texts of the space until one fools the victim.

    This is the floor that every attack should be above.
    """

    paper = "none: a baseline"
    deviations: ClassVar[tuple[str, ...]] = ()
    language_model = True

    class Options(Attack.Options):
        """Length of the search."""

        draws: int = Field(
            64,
            ge=1,
            description="Texts drawn at most.",
            json_schema_extra={"unit": "texts"},
        )
        together: int = Field(
            16,
            ge=1,
            description="Texts in one query; the search ends after the query that finds a text.",
            json_schema_extra={"unit": "texts"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Draw texts, query them and return the first one not classified as ``label``."""
        if len(space.positions) == 0:
            return None
        for start in range(0, self.options.draws, self.options.together):
            drawn = draw(space, min(self.options.together, self.options.draws - start), rng)
            fooled = np.flatnonzero(oracle.probs(drawn).argmax(axis=1) != label)
            if len(fooled):
                return drawn[fooled[0]]
        return None


def draw(space: SearchSpace, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Draw ``count`` texts of the space, each option equally likely; ``(count, words)``."""
    return rng.integers(0, space.sizes, size=(count, len(space.words)), dtype=np.int16)
