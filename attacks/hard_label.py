"""Search that sees labels only (Maheshwary et al., AAAI 2021).

It begins with a random text that fools the victim and moves back towards the original text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, BudgetSpent, Choice, Oracle, SearchSpace
from robench.methods import ask_until_misclassified

BLOCK = 16
"""Random texts queried at once."""


@ATTACKS.register("hard-label")
class HardLabel(Attack):
    """Substitute words at random until a text fools the victim, then restore original words.

    The positions are shuffled once. The first draws replace the first 1, 2, 3, ... of them, each by
    a random substitute; there are as many of these draws as the text has words. All further draws
    replace every position.

    Once a text fools the victim, its substituted words are restored one by one, from the left. A
    word stays restored if the text still fools the victim. This is repeated until a round restores
    nothing.
    """

    paper = (
        "Maheshwary et al., Generating Natural Language Attacks in a Hard Label Black Box Setting,"
        " AAAI 2021, initialisation and search space reduction"
    )
    cost = "up to words + draws random texts, then a few for each changed word"
    deviations = (
        "The third step, a population that makes the text more like the original, is left out: it"
        " changes which text fools the victim, never whether one does.",
        "Words are restored from the left as soon as that is found possible; the release first"
        " asks about each and then goes by the similarity regained.",
        "Substitutes come from the task's substitution set without a part-of-speech filter.",
        f"Random texts are queried in blocks of {BLOCK}, so up to {BLOCK - 1} queries after the"
        " success are counted.",
    )
    access = "labels"
    language_model = True

    class Options(Attack.Options):
        """Length of the random search."""

        draws: int = Field(
            2_500,
            ge=0,
            description="Random texts with every word replaced, after one for each word of the"
            " text; as in the release.",
            json_schema_extra={"unit": "texts"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        found = ask_until_misclassified(oracle, self._random_texts(space, rng), label)
        return None if found is None else _restore_originals(found, oracle, label)

    def _random_texts(
        self, space: SearchSpace, rng: np.random.Generator
    ) -> Iterator[NDArray[np.int16]]:
        order, total = rng.permutation(space.positions), len(space.words) + self.options.draws
        for start in range(0, total, BLOCK):
            choices = np.zeros((min(BLOCK, total - start), len(space.words)), dtype=np.int16)
            for number, choice in enumerate(choices, start):
                replaced = order[: number + 1]
                choice[replaced] = rng.integers(1, space.sizes[replaced])
            yield choices


def _restore_originals(choice: Choice, oracle: Oracle, label: int) -> Choice:
    """Return ``choice``, which fools the victim, with as many original words as possible.

    When the query budget is spent, the text reached by then is returned.
    """
    try:
        before = -1
        while np.count_nonzero(choice) != before:
            before = int(np.count_nonzero(choice))
            for position in np.flatnonzero(choice):
                restored = choice.copy()
                restored[position] = 0
                if oracle.logits(restored[None]).argmax() != label:
                    choice = restored
    except BudgetSpent:
        pass
    return choice
