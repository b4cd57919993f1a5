"""Greedy search: the baseline that a costlier attack must beat."""

from __future__ import annotations

import numpy as np

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import find_misclassified, margins_of, single_substitutions, with_each_change


@ATTACKS.register("greedy")
class Greedy(Attack):
    """Position after position, the most telling first, is given the option that the victim likes least, until nothing gets any worse.

    The order is that of the largest drop of the margin by a single substitution in the original text. Each option of a position, the original word
    included, is judged with the other words as they are by then; passes over all positions go on until one changes nothing.
    """

    paper = "none: a baseline, coordinate descent on the margin from the original text"
    language_model = True

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        positions, options = single_substitutions(space)
        singles = with_each_change(space.original(), positions, options)
        logits = oracle.logits(singles)
        found = find_misclassified(singles, logits, label)
        if found is not None:
            return found
        margins = margins_of(logits, label)
        least = np.array([margins[positions == position].min() for position in space.positions])
        return self._descend(
            space, oracle, label, space.positions[np.argsort(least, kind="stable")].tolist()
        )

    def _descend(
        self, space: SearchSpace, oracle: Oracle, label: int, order: list[int]
    ) -> Choice | None:
        current, settled = space.original(), 0
        while settled < len(order):  # as many positions in a row that stay as they are
            for position in order:
                every = np.arange(space.sizes[position], dtype=np.int16)
                choices = with_each_change(current, np.full(len(every), position), every)
                logits = oracle.logits(choices)
                found = find_misclassified(choices, logits, label)
                if found is not None:
                    return found
                margins = margins_of(logits, label)
                best = int(margins.argmin())
                better = margins[best] < margins[current[position]]
                settled = 0 if better else settled + 1
                current = choices[best] if better else current
                if settled == len(order):
                    return None
        return None
