"""Genetic search (Alzantot et al. 2018) as Jia et al. (2019) and RIFT (2021) run it.

The population has 60 texts, and the search runs for 40 iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import genes_to_choices, margins_of, rank_within_owner

Genes = NDArray[np.int16]
"""``(members, positions)``: the option of each member at each substitutable position."""


@dataclass(frozen=True)
class Generation:
    """A population with the victim's answers to it.

    Attributes:
        genes: ``(members, positions)``.
        margins: ``(members,)``: logit of the label minus the largest other logit; negative where
            the victim is wrong.
        classes: number of classes of the victim.
    """

    genes: Genes
    margins: NDArray[np.float32]
    classes: int

    def fitness(self) -> NDArray[np.float64]:
        """Return each member's weight in the draw of parents, ``(members,)``; always positive."""
        wrong = 1 / (1 + np.exp(self.margins.astype(np.float64)))
        # These are RIFT's two constants, for IMDB (2 classes) and for SNLI (3 classes).
        return wrong + (1e-8 if self.classes == 2 else 1e-4)


@ATTACKS.register("genetic")
class Genetic(Attack):
    """Genetic search: texts are perturbed one word at a time and crossed over.

    To perturb a text, one position is drawn uniformly among those with more than one option. The
    victim is queried on every option there, with the other words unchanged. The option with the
    least margin is taken, even if it is the current one.

    The first population is the original text, perturbed 60 times. Each iteration keeps the fittest
    member and adds 59 perturbed children. The two parents of a child are drawn with replacement in
    proportion to their fitness. The child takes each word from either parent with probability 1/2.
    The fitness is 1 - p_y + 1e-8 with two classes and sigmoid(-margin) + 1e-4 with more.
    """

    paper = (
        "Jia et al., Certified Robustness to Adversarial Word Substitutions, EMNLP 2019, 4.2;"
        " Dong et al., RIFT, NeurIPS 2021, 3.1"
    )
    deviations = (
        "The search stops when any member fools the victim, and the last generation counts; in"
        " the releases the children of the 40th iteration are never looked at.",
        "All queries of one generation are made together; children are independent of each"
        " other, so this changes the speed only.",
        "With two classes, texts are compared by the margin of the logits, which orders them as"
        " p_y does but does not saturate.",
        "A text without substitutes is held; the releases crash or hang on one.",
    )
    language_model = True

    class Options(Attack.Options):
        """Size of the population and number of iterations."""

        population: int = Field(
            60,
            ge=2,
            le=10_000,
            description="Texts in a generation.",
            json_schema_extra={"unit": "texts"},
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
        originals = np.zeros((self.options.population, len(space.positions)), dtype=np.int16)
        generation = perturb(originals, space, oracle, label, rng)
        for _ in range(self.options.iterations):
            if generation.margins.min() < 0:
                break
            generation = next_generation(generation, space, oracle, label, rng)
        fittest = int(generation.margins.argmin())
        if generation.margins[fittest] < 0:
            found: Choice = genes_to_choices(generation.genes[fittest : fittest + 1], space)[0]
            return found
        return None


def next_generation(
    generation: Generation, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
) -> Generation:
    """Return the fittest member, unchanged, and perturbed children in place of all others."""
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
    """Draw one position of each member and put the option with the least margin there.

    Among equal options it is the first. One query asks about all options of all members.
    """
    sizes = space.sizes[space.positions].astype(np.intp)
    places = rng.integers(len(sizes), size=len(genes))
    # One row for each option at the drawn position of each member.
    counts = sizes[places]
    owners = np.repeat(np.arange(len(genes)), counts)
    options = rank_within_owner(counts)
    tried = genes[owners]
    tried[np.arange(len(owners)), places[owners]] = options
    logits = oracle.logits(genes_to_choices(tried, space))
    # A table of (members, options); infinite where a position has fewer options.
    table = np.full((len(genes), int(counts.max())), np.inf, dtype=np.float32)
    table[owners, options] = margins_of(logits, label)
    best = table.argmin(axis=1)
    taken = genes.copy()
    taken[np.arange(len(genes)), places] = best
    return Generation(taken, table.min(axis=1), logits.shape[1])
