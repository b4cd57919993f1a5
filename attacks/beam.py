"""Beam search: several texts at a time, each changed at one more word in every step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    Choices,
    find_misclassified,
    largest_first,
    log_odds,
    single_substitutions,
    with_each_change,
)


@ATTACKS.register("beam")
class Beam(Attack):
    """Keep the best texts, and change each at one more position in every step.

    The first step queries every single substitution of the original text. The texts with the
    least log-odds of the label are kept. Every further step queries all single substitutions of
    the kept texts at positions that are still unchanged there, and keeps the best of those. The
    search ends with the first text that fools the victim, or when nothing is left to change.

    In long texts a step is bounded: only the positions where the first step lowered the log-odds
    most are changed. With width 1 it is the greedy search that ranks all changes in every step.
    """

    paper = (
        "Yoo et al., Searching for a Search Method: Benchmarking Search Algorithms for Generating"
        " NLP Adversarial Examples, BlackboxNLP 2020, Section 3"
    )
    cost = "every single substitution; then in each step at most width x positions x substitutes"
    deviations = (
        "Substitutes come from the task's substitution set, and no further constraint binds.",
        "After the first step only the best positions are changed (option positions); the paper"
        " changes any.",
        "Log-odds take the place of probabilities, so that no decision depends on the scale of the"
        " logits.",
    )

    class Options(Attack.Options):
        """Number of texts kept, and what a step may change."""

        width: int = Field(
            8,
            ge=1,
            le=1_000,
            description="Texts that are kept after each step.",
            json_schema_extra={"unit": "texts"},
        )
        positions: int = Field(
            16,
            ge=1,
            le=10_000,
            description="Positions that may be changed, those with the best single substitution.",
            json_schema_extra={"unit": "positions"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        original = space.original()
        candidates = with_each_change(original, *single_substitutions(space))
        answers = oracle.logits(candidates)
        allowed = self._best_positions(candidates, log_odds(answers, label))
        while True:
            found = find_misclassified(candidates, answers, label)
            if found is not None:
                return found
            best = largest_first(-log_odds(answers, label))[: self.options.width]
            candidates = _one_change_more(candidates[best], space, allowed)
            if not len(candidates):
                return None
            answers = oracle.logits(candidates)

    def _best_positions(self, singles: Choices, odds: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the positions of the best single substitutions, in ascending order."""
        changed = singles.argmax(axis=1)
        ranked = dict.fromkeys(changed[largest_first(-odds)].tolist())
        return np.array(sorted([*ranked][: self.options.positions]), dtype=np.intp)


def _one_change_more(beam: Choices, space: SearchSpace, allowed: NDArray[np.intp]) -> Choices:
    """Return every text with one more change of ``beam`` at ``allowed``, each once.

    The texts that come from the best text of the beam come first.
    """

    def changed() -> Iterator[Choices]:
        for choice in beam:
            free = allowed[choice[allowed] == 0]
            counts = space.sizes[free].astype(np.intp) - 1
            options = [np.arange(1, count + 1, dtype=np.int16) for count in counts]
            if len(free):
                yield with_each_change(choice, np.repeat(free, counts), np.concatenate(options))

    texts = [*changed()]
    if not texts:
        return np.empty((0, len(space.words)), dtype=np.int16)
    every = np.concatenate(texts)
    _, first = np.unique(every, axis=0, return_index=True)
    return np.asarray(every[np.sort(first)])
