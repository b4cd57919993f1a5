"""Greedy search: the baseline that a costlier attack must beat."""

from __future__ import annotations

import numpy as np

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    descend,
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
        return descend(space, oracle, label, space.original(), order.tolist())
