"""A search that sees labels only (Maheshwary et al., AAAI 2021): a random start that fools, then back towards the original."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, BudgetSpent, Choice, Options, Oracle, SearchSpace
from robench.search.moves import first_fooling

BLOCK = 16
"""Random texts asked about at once."""


@ATTACKS.register("hard-label")
class HardLabel(Attack):
    """Random substitutes at more and more positions until a text fools; then every word that is not needed for it becomes the original again.

    Draw k replaces 1 + (k mod positions) words, which and by what is drawn uniformly. Of a text that fools, the substituted words are put back one by
    one from the left, each for good if the text still fools without it.
    """

    paper = "Maheshwary et al., Generating Natural Language Attacks in a Hard Label Black Box Setting, AAAI 2021, initialisation and search space reduction"
    deviations = (
        "The third step, a population that makes the text more like the original, is left out: it changes which text fools, never whether one does.",
        "Words are put back from the left instead of in the order of the similarity that this regains.",
        "Substitutes come from the task's substitution set without a part-of-speech filter.",
        f"Random texts are asked about in blocks of {BLOCK}, so up to {BLOCK - 1} questions beyond the success are counted.",
    )
    access = "labels"
    language_model = True

    class Options(Options):
        """How long it tries to begin."""

        draws: int = Field(2_500, ge=1, description="Random texts at most, as in the release.", json_schema_extra={"unit": "texts"})

    options: Options

    def search(self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        found = first_fooling(oracle, self._starts(space, rng), label)
        return None if found is None else _reduced(found, oracle, label)

    def _starts(self, space: SearchSpace, rng: np.random.Generator) -> Iterator[NDArray[np.int16]]:
        sizes = space.sizes[space.positions]
        for start in range(0, self.options.draws, BLOCK):
            choices = np.zeros((min(BLOCK, self.options.draws - start), len(space.words)), dtype=np.int16)
            for number, choice in enumerate(choices, start):
                which = rng.permutation(len(sizes))[: 1 + number % len(sizes)]
                choice[space.positions[which]] = rng.integers(1, sizes[which])
            yield choices


def _reduced(choice: Choice, oracle: Oracle, label: int) -> Choice:
    """``choice``, which fools, with as many original words as it can have; what is there when the budget is spent counts."""
    try:
        for position in np.flatnonzero(choice):
            back = choice.copy()
            back[position] = 0
            if oracle.probs(back[None]).argmax() != label:
                choice = back
    except BudgetSpent:
        pass
    return choice
