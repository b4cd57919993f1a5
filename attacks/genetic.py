"""Genetic search (Alzantot et al. 2018) as Jia et al. (2019) and RIFT (2021) run it.

The population has 60 texts, and the search runs for 40 iterations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import genes_to_choices, log_odds, rank_within_owner, shares_of_clean

CLEAN_MARGIN = 4.0
"""Margin (logits) that the original text counts as in the draw of parents."""

Genes = NDArray[np.int16]
"""``(members, positions)``: the option of each member at each substitutable position."""


@dataclass(frozen=True)
class Generation:
    """A population with the victim's answers to it.

    Attributes:
        genes: ``(members, positions)``.
        margins: ``(members,)``: log-odds of the label; negative where the victim is wrong.
        classes: number of classes of the victim.
    """

    genes: Genes
    margins: NDArray[np.float64]
    classes: int

    def fitness(self, clean: float | None) -> NDArray[np.float64]:
        """Return each member's weight in the draw of parents, ``(members,)``; always positive.

        Args:
            clean: margin of the original text, in units of which margins count; None takes the
                margins as they are.
        """
        margins = self.margins
        if clean is not None:
            margins = CLEAN_MARGIN * shares_of_clean(margins, clean)
        # This is sigmoid(-margin), in a form that no margin overflows.
        fitness = np.exp(-np.logaddexp(0, margins))
        # These are RIFT's two constants, for IMDB (2 classes) and for SNLI (3 classes).
        return np.asarray(fitness + (1e-8 if self.classes == 2 else 1e-4))


@ATTACKS.register("genetic")
class Genetic(Attack):
    """Genetic search: texts are perturbed one word at a time and crossed over.

    To perturb a text, one position is drawn uniformly among those with more than one option. The
    victim is queried on every option there, with the other words unchanged. The option with the
    least margin is taken, even if it is the current one.

    The first population is the original text, perturbed 60 times. Each iteration keeps the fittest
    member and adds 59 perturbed children. The two parents of a child are drawn with replacement in
    proportion to their fitness. The child takes each word from either parent with probability 1/2.
    The fitness is sigmoid(-4 m / m0) + e for a text of margin m, where m0 is the margin of the
    original text; e is 1e-8 with two classes and 1e-4 with more. So the scale of the logits
    cancels. With ``scores=probabilities`` it is 1 - p_y + 1e-8 with two classes and
    sigmoid(-margin) + 1e-4 with more, as in the releases.
    """

    paper = (
        "Jia et al., Certified Robustness to Adversarial Word Substitutions, EMNLP 2019, 4.2;"
        " Dong et al., RIFT, NeurIPS 2021, 3.1"
    )
    cost = "population x (1 + iterations) x the options of a word, if nothing fools the victim"
    deviations = (
        "Parents are drawn by margins as shares of the original text's, which counts as 4 logits,"
        " so that the scale of the logits decides nothing; scores=probabilities draws them by"
        " 1 - p_y, as published.",
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
        scores: Literal["log-odds", "probabilities"] = Field(
            "log-odds",
            description="Whether the draw of parents weighs margins as shares of the original"
            " text's, or 1 - p_y as published.",
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``."""
        if not len(space.positions):
            return None
        originals = np.zeros((self.options.population, len(space.positions)), dtype=np.int16)
        clean = None
        if self.options.scores == "log-odds":
            clean = float(log_odds(oracle.logits(space.original()[None]), label)[0])
        generation = perturb(originals, space, oracle, label, rng)
        for _ in range(self.options.iterations):
            if generation.margins.min() < 0:
                break
            weights = generation.fitness(clean)
            generation = next_generation(generation, weights, space, oracle, label, rng)
        fittest = int(generation.margins.argmin())
        if generation.margins[fittest] < 0:
            found: Choice = genes_to_choices(generation.genes[fittest : fittest + 1], space)[0]
            return found
        return None


def next_generation(
    generation: Generation,
    weights: NDArray[np.float64],
    space: SearchSpace,
    oracle: Oracle,
    label: int,
    rng: np.random.Generator,
) -> Generation:
    """Return the fittest member, unchanged, and perturbed children in place of all others.

    Args:
        weights: of the members in the draw of parents, ``(members,)``.
    """
    members, positions = generation.genes.shape
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
    table = np.full((len(genes), int(counts.max())), np.inf, dtype=np.float64)
    table[owners, options] = log_odds(logits, label)
    best = table.argmin(axis=1)
    taken = genes.copy()
    taken[np.arange(len(genes)), places] = best
    return Generation(taken, table.min(axis=1), logits.shape[1])
