"""Alzantot et al.'s genetic search (EMNLP 2018) in TextAttack's greedy form, with parents selected the right way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit

from robench import ATTACKS, Attack, Choice, Options, Oracle, SearchSpace
from robench.methods import find_misclassified, genes_to_choices, rank_within_owner


@dataclass
class Members:
    """A population.

    Attributes:
        genes: ``(members, positions)``: which option each has at each substitutable position.
        weights: ``(members, positions)``: how many substitutes the position still has for this member; 0 once it was changed in its line.
        odds: ``(members,)``: log(p_y / (1 - p_y)); negative where p_y is below one half.
    """

    genes: NDArray[np.int16]
    weights: NDArray[np.int64]
    odds: NDArray[np.float64]

    def likely(self, temperature: float, sign: int) -> NDArray[np.float64]:
        """``(members,)``, summing to 1: how likely each is to become a parent, exp(sign x (1 - p_y) / temperature) up to a factor."""
        powers = np.exp(sign * expit(-self.odds) / temperature)
        return np.asarray(powers / powers.sum())


class _Fooled(Exception):
    """A text was found; ends the search wherever it is."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice


@ATTACKS.register("genetic-alzantot")
class GeneticAlzantot(Attack):
    """A population whose members each take the best option of the first position, drawn by how many substitutes it has, where one helps.

    Perturb: positions are drawn without replacement in proportion to their number of substitutes; the victim is asked about all substitutes, and the best
    is taken if it lowers p_y, otherwise the next position is drawn. A position that was changed is locked in that line. The first population is the original,
    perturbed. Each iteration keeps the fittest and adds children of two parents drawn in proportion to exp((1 - p_y) / temperature); a child takes each word,
    with its lock, from either with probability one half, and is perturbed.
    """

    paper = "Alzantot et al., Generating Natural Language Adversarial Examples, EMNLP 2018; TextAttack 0.3.11, AlzantotGeneticAlgorithm"
    deviations = (
        "TextAttack draws parents in proportion to exp(-(1 - p_y) / temperature), which favours the worst, against the paper; sign=as-shipped does so too.",
        "The first text that fools ends the search, in whichever question; TextAttack looks at its members once an iteration and never at the last one's.",
        "Texts are compared by the log-odds of p_y, which order them as p_y does but do not saturate.",
        "TextAttack's constraints (20 % of the words, stop words, a language model on the changed text) are no part of it: the task's surface is.",
        "All members are perturbed side by side, one drawn position each at a time, and so draw from one stream in another order.",
        "Words without substitutes are never drawn; TextAttack draws them now and then, in vain.",
    )
    language_model = True

    class Options(Options):
        """How far it looks."""

        population: int = Field(
            60, ge=2, description="Texts in a generation.", json_schema_extra={"unit": "texts"}
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
            description="Of the selection: the lower, the more the fittest are preferred.",
        )
        sign: Literal["corrected", "as-shipped"] = Field(
            "corrected",
            description="Whether the fittest (the paper) or the worst (TextAttack) become parents.",
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
            perturb(members, space, oracle, label, rng)
            for _ in range(self.options.iterations):
                members = self._next(members, space, oracle, label, rng)
        except _Fooled as success:
            return success.choice
        return None

    def _first(self, space: SearchSpace, oracle: Oracle, label: int) -> Members:
        genes = np.zeros((self.options.population, len(space.positions)), dtype=np.int16)
        weights = np.repeat(
            space.sizes[None, space.positions].astype(np.int64) - 1, len(genes), axis=0
        )
        return Members(genes, weights, np.repeat(ask(genes[:1], space, oracle, label), len(genes)))

    def _next(
        self, old: Members, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Members:
        """The fittest member, unchanged, and as many perturbed children as fill the population."""
        members, positions = old.genes.shape
        likely = old.likely(self.options.temperature, 1 if self.options.sign == "corrected" else -1)
        first, second = rng.choice(members, size=(members - 1, 2), p=likely).T
        from_first = rng.random((members - 1, positions)) < 0.5
        genes = np.where(from_first, old.genes[first], old.genes[second])
        weights = np.where(from_first, old.weights[first], old.weights[second])
        young = Members(genes, weights, ask(genes, space, oracle, label))
        perturb(young, space, oracle, label, rng)
        elite = slice(best := int(old.odds.argmin()), best + 1)
        return Members(
            np.concatenate([old.genes[elite], young.genes]),
            np.concatenate([old.weights[elite], young.weights]),
            np.concatenate([old.odds[elite], young.odds]),
        )


def perturb(
    members: Members, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
) -> None:
    """Give each member the best substitute of the first drawn position where one helps; those whom none helps stay as they are."""
    untried = members.weights.copy()
    searching = np.flatnonzero(untried.any(axis=1))
    while len(searching):
        odds = untried[searching] / untried[searching].sum(axis=1, keepdims=True)
        places = np.array([rng.choice(len(row), p=row) for row in odds])
        counts = space.sizes[space.positions[places]].astype(np.intp) - 1
        owners = np.repeat(np.arange(len(places)), counts)
        tried = members.genes[searching[owners]]
        tried[np.arange(len(owners)), places[owners]] = rank_within_owner(counts) + 1
        answers = ask(tried, space, oracle, label)
        best = (
            np.array([block.argmin() for block in np.split(answers, np.cumsum(counts)[:-1])])
            + np.cumsum(counts)
            - counts
        )
        helped = answers[best] < members.odds[searching]
        improved, places_improved = searching[helped], places[helped]
        members.genes[improved], members.odds[improved] = tried[best[helped]], answers[best[helped]]
        members.weights[improved, places_improved] = 0
        untried[searching, places] = 0
        searching = searching[~helped & untried[searching].any(axis=1)]


def ask(
    genes: NDArray[np.int16], space: SearchSpace, oracle: Oracle, label: int
) -> NDArray[np.float64]:
    """``(members, positions)`` -> log-odds of p_y, ``(members,)``; raises _Fooled at a text that is misclassified."""
    choices = genes_to_choices(genes, space)
    logits = oracle.logits(choices)
    found = find_misclassified(choices, logits, label)
    if found is not None:
        raise _Fooled(found)
    others = np.delete(logits, label, axis=1).astype(np.float64)
    return np.asarray(logits[:, label] - np.logaddexp.reduce(others, axis=1))
