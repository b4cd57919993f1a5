"""Genetic search (Alzantot et al. 2018) as Jia et al. (EMNLP 2019) and RIFT (Dong et al. 2021) run it: 60 texts, 40 iterations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Options, Oracle, SearchSpace
from robench.methods import genes_to_choices, margins_of, rank_within_owner

Genes = NDArray[np.int16]
"""``(members, positions)``: which option each member has at each substitutable position."""


@dataclass(frozen=True)
class Generation:
    """A population with what the victim thinks of it.

    Attributes:
        genes: ``(members, positions)``.
        margins: ``(members,)``: logit of the label less the best other logit; negative where the victim is wrong.
        classes: how many the victim tells apart.
    """

    genes: Genes
    margins: NDArray[np.float32]
    classes: int

    def fitness(self) -> NDArray[np.float64]:
        """``(members,)``, positive: how likely each is to become a parent, up to a factor."""
        wrong = 1 / (1 + np.exp(self.margins.astype(np.float64)))
        return wrong + (1e-8 if self.classes == 2 else 1e-4)


@ATTACKS.register("genetic")
class Genetic(Attack):
    """A population of texts, perturbed one word at a time and crossed over, the likeliest to fool the victim bearing most children.

    Perturb: at one position, uniform among those with more than one option, the victim is asked about every option with the other words as they
    are, and the best is taken, whether or not it is another one. The first population is the original, perturbed 60 times. Each iteration keeps the
    fittest and adds 59 children, perturbed, of two parents drawn with replacement in proportion to their fitness; a child takes each word from
    either with probability one half. Fitness: 1 - p_y + 1e-8 with two classes, sigmoid(-margin) + 1e-4 with more.
    """

    paper = "Jia et al., Certified Robustness to Adversarial Word Substitutions, EMNLP 2019, 4.2; Dong et al., RIFT, NeurIPS 2021, 3.1"
    deviations = (
        "The search stops when any member fools the victim, and the last generation counts; in the releases the 40th iteration's children are never looked at.",
        "All questions of one generation are put at once; children are independent of each other, so nothing changes but the speed.",
        "With two classes texts are compared by the margin of the logits, which orders them as p_y does but does not saturate.",
        "A text without substitutes is held; the releases crash or hang on one.",
    )
    language_model = True

    class Options(Options):
        """How far it looks."""

        population: int = Field(
            60, ge=2, description="Texts in a generation.", json_schema_extra={"unit": "texts"}
        )
        iterations: int = Field(
            40,
            ge=0,
            description="Generations after the first.",
            json_schema_extra={"unit": "generations"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        members = self.options.population
        generation = perturb(
            np.zeros((members, len(space.positions)), dtype=np.int16), space, oracle, label, rng
        )
        for _ in range(self.options.iterations):
            if generation.margins.min() < 0:
                break
            generation = next_generation(generation, space, oracle, label, rng)
        fittest = int(generation.margins.argmin())
        return (
            genes_to_choices(generation.genes[fittest : fittest + 1], space)[0]
            if generation.margins[fittest] < 0
            else None
        )


def next_generation(
    generation: Generation, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
) -> Generation:
    """The fittest member, unchanged, and as many perturbed children as fill the population."""
    members, positions = generation.genes.shape
    weights = generation.fitness()
    parents = rng.choice(members, size=(members - 1, 2), p=weights / weights.sum())
    from_first = rng.random((members - 1, positions)) < 0.5
    children = np.where(
        from_first, generation.genes[parents[:, 0]], generation.genes[parents[:, 1]]
    )
    young = perturb(children, space, oracle, label, rng)
    elite = int(generation.margins.argmin())
    return Generation(
        np.concatenate([generation.genes[elite : elite + 1], young.genes]),
        np.concatenate([generation.margins[elite : elite + 1], young.margins]),
        generation.classes,
    )


def perturb(
    genes: Genes, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
) -> Generation:
    """At one position of each member put the option that the victim likes least, the first of equals; one question for all members."""
    sizes = space.sizes[space.positions].astype(np.intp)
    places = rng.integers(len(sizes), size=len(genes))
    counts = sizes[places]
    owners = np.repeat(np.arange(len(genes)), counts)
    options = rank_within_owner(counts)
    tried = genes[owners]
    tried[np.arange(len(owners)), places[owners]] = options
    logits = oracle.logits(genes_to_choices(tried, space))
    table = np.full((len(genes), int(counts.max())), np.inf, dtype=np.float32)
    table[owners, options] = margins_of(logits, label)
    best = table.argmin(axis=1)
    taken = genes.copy()
    taken[np.arange(len(genes)), places] = best
    return Generation(taken, table.min(axis=1), logits.shape[1])
