"""Genetic search of Alzantot et al. (EMNLP 2018) in TextAttack's greedy form.

Unlike in TextAttack, the fittest texts are the likeliest parents, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    exact_softmax,
    find_misclassified,
    genes_to_choices,
    log_odds,
    rank_within_owner,
    shares_of_clean,
)

OddsOf = Callable[[NDArray[np.float32], int], NDArray[np.float64]]
"""Logits ``(batch, classes)`` and the label -> what texts are compared by, ``(batch,)``."""


@dataclass
class Members:
    """A population.

    Attributes:
        genes: ``(members, positions)``: the option of each member at each substitutable position.
        weights: ``(members, positions)``: number of substitutes of each position; 0 once the
            position was changed in the member or in one of its ancestors.
        odds: ``(members,)``: what members are compared by; negative where p_y is small.
    """

    genes: NDArray[np.int16]
    weights: NDArray[np.int64]
    odds: NDArray[np.float64]

    def parent_probabilities(
        self, temperature: float, sign: int, clean: float | None
    ) -> NDArray[np.float64]:
        """Return each member's probability to be drawn as a parent, ``(members,)``.

        It is proportional to exp(sign x fitness / temperature). The fitness is 1 - odds / clean,
        or 1 - p_y without ``clean``.

        Args:
            clean: log-odds of the original text, or None.
        """
        if clean is None:
            # This is 1 - p_y, in a form that no log-odds overflow.
            fitness = np.exp(-np.logaddexp(0, self.odds))
        else:
            fitness = 1 - shares_of_clean(self.odds, clean)
        return exact_softmax(sign * fitness / temperature)


class _Fooled(Exception):
    """A text fools the victim; this ends the search from any depth."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice


@ATTACKS.register("genetic-alzantot")
class GeneticAlzantot(Attack):
    """Greedy genetic search: each member tries positions until one lowers the label's log-odds.

    To perturb a text, positions are drawn without replacement, in proportion to their number of
    substitutes. The victim is queried on all substitutes of a position. The best one is taken if it
    lowers the log-odds; otherwise the next position is drawn. A changed position stays locked in
    the member and in all its descendants.

    The first population is the original text, perturbed. Each iteration keeps the fittest member
    and adds perturbed children. The two parents of a child are drawn in proportion to
    exp(fitness / temperature). The fitness is the share of the original text's log-odds that is
    lost, so the scale of the logits cancels. With ``scores=probabilities`` texts are compared by
    p_y, and the fitness is 1 - p_y. The child takes each word, with its lock, from either parent
    with probability 1/2.
    """

    paper = (
        "Alzantot et al., Generating Natural Language Adversarial Examples, EMNLP 2018;"
        " TextAttack 0.3.11, AlzantotGeneticAlgorithm"
    )
    cost = "at most population x (1 + iterations) x the options of the words that a text tries"
    deviations = (
        "TextAttack draws parents in proportion to exp(-(1 - p_y) / temperature), which favours"
        " the worst, against the paper; sign=as-shipped does so too.",
        "The first text that fools the victim ends the search, in whichever query; TextAttack"
        " looks at its members once an iteration and never at those of the last one.",
        "Texts are compared by the logit of the label minus the largest other logit, and the"
        " fitness is a share of the original text's, so that the scale of the logits decides"
        " nothing; scores=probabilities takes p_y, by its log-odds, which do not saturate.",
        "TextAttack's constraints (20 % of the words, stop words, a language model on the changed"
        " text) are left out; the task's surface takes their place.",
        "All members are perturbed side by side, one drawn position each at a time, so they use"
        " the random stream in another order.",
        "Words without substitutes are never drawn; TextAttack draws them now and then, in vain.",
    )
    language_model = True

    class Options(Attack.Options):
        """Size of the population, number of iterations, and the draw of parents."""

        population: int = Field(
            60,
            ge=2,
            le=10_000,
            description="Texts in a generation.",
            json_schema_extra={"unit": "texts"},
        )
        iterations: int = Field(
            20,
            ge=0,
            description="Generations after the first.",
            json_schema_extra={"unit": "generations"},
        )
        temperature: float = Field(
            0.3,
            gt=0,
            description="Temperature of the draw of parents; a lower one prefers the fittest more.",
        )
        sign: Literal["corrected", "as-shipped"] = Field(
            "corrected",
            description="Whether the fittest (the paper) or the worst (TextAttack) become parents.",
        )
        scores: Literal["log-odds", "probabilities"] = Field(
            "log-odds",
            description="Whether texts are weighed by their share of the original text's log-odds,"
            " or by p_y as published.",
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        try:
            members = self._first(space, oracle, label)
            clean = float(members.odds[0]) if self.options.scores == "log-odds" else None
            perturb(members, space, oracle, label, rng, self._odds_of)
            for _ in range(self.options.iterations):
                chances = self._chances(members, clean)
                members = self._next(members, chances, space, oracle, label, rng)
        except _Fooled as success:
            return success.choice
        return None

    @property
    def _odds_of(self) -> OddsOf:
        return log_odds if self.options.scores == "log-odds" else odds_of_p

    def _chances(self, members: Members, clean: float | None) -> NDArray[np.float64]:
        """Return each member's probability to be drawn as a parent, ``(members,)``."""
        sign = 1 if self.options.sign == "corrected" else -1
        return members.parent_probabilities(self.options.temperature, sign, clean)

    def _first(self, space: SearchSpace, oracle: Oracle, label: int) -> Members:
        """Return a population of copies of the original text."""
        members = self.options.population
        genes = np.zeros((members, len(space.positions)), dtype=np.int16)
        substitutes = space.sizes[None, space.positions].astype(np.int64) - 1
        odds = ask(genes[:1], space, oracle, label, self._odds_of)
        return Members(genes, np.repeat(substitutes, members, axis=0), np.repeat(odds, members))

    def _next(
        self,
        old: Members,
        chances: NDArray[np.float64],
        space: SearchSpace,
        oracle: Oracle,
        label: int,
        rng: np.random.Generator,
    ) -> Members:
        """Return the fittest member, unchanged, and perturbed children in place of all others."""
        members, positions = old.genes.shape
        first, second = rng.choice(members, size=(members - 1, 2), p=chances).T
        from_first = rng.random((members - 1, positions)) < 0.5
        genes = np.where(from_first, old.genes[first], old.genes[second])
        weights = np.where(from_first, old.weights[first], old.weights[second])
        young = Members(genes, weights, ask(genes, space, oracle, label, self._odds_of))
        perturb(young, space, oracle, label, rng, self._odds_of)
        fittest = int(old.odds.argmin())
        elite = slice(fittest, fittest + 1)
        return Members(
            np.concatenate([old.genes[elite], young.genes]),
            np.concatenate([old.weights[elite], young.weights]),
            np.concatenate([old.odds[elite], young.odds]),
        )


def perturb(
    members: Members,
    space: SearchSpace,
    oracle: Oracle,
    label: int,
    rng: np.random.Generator,
    odds_of: OddsOf = log_odds,
) -> None:
    """Give each member the best substitute of the first drawn position where one lowers the odds.

    A member for which no substitute lowers them stays as it is.
    """
    untried = members.weights.copy()
    searching = np.flatnonzero(untried.any(axis=1))
    while len(searching):
        chances = untried[searching] / untried[searching].sum(axis=1, keepdims=True)
        places = np.array([rng.choice(len(row), p=row) for row in chances])
        # One row for each substitute at the drawn position of each member that still searches.
        counts = space.sizes[space.positions[places]].astype(np.intp) - 1
        owners = np.repeat(np.arange(len(places)), counts)
        tried = members.genes[searching[owners]]
        tried[np.arange(len(owners)), places[owners]] = rank_within_owner(counts) + 1
        answers = ask(tried, space, oracle, label, odds_of)
        best = _least_of_each(answers, counts)
        helped = answers[best] < members.odds[searching]
        improved = searching[helped]
        members.genes[improved] = tried[best[helped]]
        members.odds[improved] = answers[best[helped]]
        # A weight of 0 locks the changed position, in this member and in its descendants.
        members.weights[improved, places[helped]] = 0
        untried[searching, places] = 0
        searching = searching[~helped & untried[searching].any(axis=1)]


def _least_of_each(values: NDArray[np.float64], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the index of the least value of each owner; owner k has ``counts[k]`` values."""
    starts = np.cumsum(counts) - counts
    least_within = [own.argmin() for own in np.split(values, starts[1:])]
    return starts + np.array(least_within)


def ask(
    genes: NDArray[np.int16],
    space: SearchSpace,
    oracle: Oracle,
    label: int,
    odds_of: OddsOf = log_odds,
) -> NDArray[np.float64]:
    """Return what texts are compared by, ``(members,)``, of genes ``(members, positions)``.

    Raises:
        _Fooled: a text is misclassified.
    """
    choices = genes_to_choices(genes, space)
    logits = oracle.logits(choices)
    found = find_misclassified(choices, logits, label)
    if found is not None:
        raise _Fooled(found)
    return odds_of(logits, label)


def odds_of_p(logits: NDArray[np.float32], label: int) -> NDArray[np.float64]:
    """Return the log-odds of p_y, log(p_y / (1 - p_y)), of logits ``(batch, classes)``."""
    others = np.delete(logits, label, axis=1).astype(np.float64)
    return np.asarray(logits[:, label] - np.logaddexp.reduce(others, axis=1))
