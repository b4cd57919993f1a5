"""A search that sees labels only (Maheshwary et al., AAAI 2021): a random start that fools, then back towards the original."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, BudgetSpent, Choice, Options, Oracle, SearchSpace
from robench.methods import ask_until_misclassified

BLOCK = 16
"""Random texts asked about at once."""


@ATTACKS.register("hard-label")
class HardLabel(Attack):
    """Random substitutes at more and more positions until a text fools; then words become the original again until none can.

    The positions are shuffled once. As many draws as the text has words replace the first 1, 2, 3, ... of them, each by a random substitute; the
    draws after that replace all. Of a text that fools, the substituted words are put back one by one from the left, each for good if the text
    still fools without it, round after round until a round puts nothing back.
    """

    paper = "Maheshwary et al., Generating Natural Language Attacks in a Hard Label Black Box Setting, AAAI 2021, initialisation and search space reduction"
    deviations = (
        "The third step, a population that makes the text more like the original, is left out: it changes which text fools, never whether one does.",
        "Words are put back from the left as soon as that is found possible; the release first asks about each and then goes by the similarity regained.",
        "Substitutes come from the task's substitution set without a part-of-speech filter.",
        f"Random texts are asked about in blocks of {BLOCK}, so up to {BLOCK - 1} questions beyond the success are counted.",
    )
    access = "labels"
    language_model = True

    class Options(Options):
        """How long it tries to begin."""

        draws: int = Field(
            2_500,
            ge=0,
            description="Random texts with every word replaced, after one for each word of the text; as in the release.",
            json_schema_extra={"unit": "texts"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        found = ask_until_misclassified(oracle, self._starts(space, rng), label)
        return None if found is None else _reduced(found, oracle, label)

    def _starts(self, space: SearchSpace, rng: np.random.Generator) -> Iterator[NDArray[np.int16]]:
        order, total = rng.permutation(space.positions), len(space.words) + self.options.draws
        for start in range(0, total, BLOCK):
            choices = np.zeros((min(BLOCK, total - start), len(space.words)), dtype=np.int16)
            for number, choice in enumerate(choices, start):
                which = order[: number + 1]
                choice[which] = rng.integers(1, space.sizes[which])
            yield choices


def _reduced(choice: Choice, oracle: Oracle, label: int) -> Choice:
    """``choice``, which fools, with as many original words as it can have; what is there when the budget is spent counts."""
    try:
        before = -1
        while np.count_nonzero(choice) != before:
            before = int(np.count_nonzero(choice))
            for position in np.flatnonzero(choice):
                back = choice.copy()
                back[position] = 0
                if oracle.probs(back[None]).argmax() != label:
                    choice = back
    except BudgetSpent:
        pass
    return choice
