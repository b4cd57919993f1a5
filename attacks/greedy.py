"""Greedy search: the baseline that a costlier attack must beat."""

from __future__ import annotations

import numpy as np

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    find_misclassified,
    log_odds,
    single_substitutions,
    with_each_change,
)


@ATTACKS.register("greedy")
class Greedy(Attack):
    """Put the option with the least margin at each position, until no margin gets smaller.

    The positions are ordered by the largest drop of the margin that a single substitution in the
    original text causes. All options of a position are tried, the original word included, with the
    other words as they stand by then. The search passes over all positions until a pass changes
    nothing.
    """

    paper = "none: a baseline, coordinate descent on the margin from the original text"
    cost = (
        "every single substitution, then all options of one word after another until"
        " nothing improves"
    )
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
        margins = log_odds(logits, label)
        least = np.array([margins[positions == position].min() for position in space.positions])
        order = space.positions[np.argsort(least, kind="stable")]
        return self._descend(space, oracle, label, order.tolist())

    def _descend(
        self, space: SearchSpace, oracle: Oracle, label: int, order: list[int]
    ) -> Choice | None:
        """Improve one position after another; return the first text that fools the victim."""
        current = space.original()
        # The descent ends when as many positions in a row stayed unchanged as there are.
        unchanged = 0
        while unchanged < len(order):
            for position in order:
                every = np.arange(space.sizes[position], dtype=np.int16)
                choices = with_each_change(current, np.full(len(every), position), every)
                logits = oracle.logits(choices)
                found = find_misclassified(choices, logits, label)
                if found is not None:
                    return found
                margins = log_odds(logits, label)
                best = int(margins.argmin())
                if margins[best] < margins[current[position]]:
                    current, unchanged = choices[best], 0
                else:
                    unchanged += 1
                if unchanged == len(order):
                    return None
        return None
