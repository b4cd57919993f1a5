"""Exhaustive search: every text of a small space, the likeliest to fool first; best-first search in a large one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Options, Oracle, SearchSpace
from robench.methods import (
    ask_until_misclassified,
    find_misclassified,
    genes_to_choices,
    margins_of,
    single_substitutions,
    with_each_change,
)

BLOCK = 256
"""Texts asked about at once."""


@ATTACKS.register("exhaustive")
class Exhaustive(Attack):
    """The truth where it can be had: a space of at most ``max_size`` texts is asked about whole, so what holds is held and proved.

    First come the original and all single substitutions. They rank the options of every position, and the positions, by the margin that they leave;
    then all texts follow, beginning with the best option everywhere and changing the least telling position fastest. A larger space is searched best
    first: of all texts seen, the one with the least margin is taken up next and its neighbours (one position changed) are asked about, until
    ``max_size`` texts were.
    """

    paper = "none: the reference that says how far other attacks stay above the truth"
    deviations = (
        f"Texts are asked about in blocks of up to {BLOCK}, so some questions beyond the success are counted.",
    )
    language_model = True

    class Options(Options):
        """What is small."""

        max_size: int = Field(
            10_000,
            ge=1,
            le=2**31,
            description="The largest space that is searched whole; of a larger one, as many texts.",
            json_schema_extra={"unit": "texts"},
        )

    options: Options

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """See ``Attack.search``; draws nothing from ``rng``."""
        if not len(space.positions):
            return None
        if space.cardinality > self.options.max_size:
            return _best_first(space, oracle, label, self.options.max_size)
        choices = np.concatenate(
            [
                space.original()[None],
                with_each_change(space.original(), *single_substitutions(space)),
            ]
        )
        logits = oracle.logits(choices)
        found = find_misclassified(choices, logits, label)
        return (
            found
            if found is not None
            else ask_until_misclassified(
                oracle, _whole(space, _ranked(space, margins_of(logits, label))), label
            )
        )


def _ranked(space: SearchSpace, margins: NDArray[np.float32]) -> list[tuple[int, NDArray[np.intp]]]:
    """(number among the substitutable positions, its options from the least margin up), the most telling position first.

    Args:
        margins: of the original and of every single substitution, ``(1 + substitutions,)``.
    """
    ends = np.cumsum(space.sizes[space.positions].astype(np.intp) - 1)
    ranked = []
    for number, own in enumerate(np.split(margins[1:], ends[:-1])):
        with_original = np.concatenate([margins[:1], own])
        ranked.append(
            (float(with_original.min()), number, np.argsort(with_original, kind="stable"))
        )
    return [(number, options) for _, number, options in sorted(ranked, key=lambda entry: entry[:2])]


def _whole(
    space: SearchSpace, ranked: list[tuple[int, NDArray[np.intp]]]
) -> Iterator[NDArray[np.int16]]:
    """All texts of the space, block by block: an odometer over the ranks, whose last wheel is the least telling position."""
    sizes = [len(options) for _, options in ranked]
    for start in range(0, space.cardinality, BLOCK):
        wheels = np.unravel_index(np.arange(start, min(start + BLOCK, space.cardinality)), sizes)
        genes = np.empty((len(wheels[0]), len(sizes)), dtype=np.int16)
        for (number, options), ranks in zip(ranked, wheels, strict=True):
            genes[:, number] = options[ranks]
        yield genes_to_choices(genes, space)


def _best_first(space: SearchSpace, oracle: Oracle, label: int, most: int) -> Choice | None:
    """Ask about ``most`` texts, always next to the text of the least margin (the older of equals) whose neighbours were not asked about yet."""
    genes = np.zeros(len(space.positions), dtype=np.int16)
    seen, waiting = {genes.tobytes()}, [(0.0, 0, genes.tobytes())]
    while waiting and len(seen) <= most:
        genes = np.frombuffer(heapq.heappop(waiting)[2], dtype=np.int16)
        fresh = [key for key in _neighbours(space, genes) if key not in seen][
            : most + 1 - len(seen)
        ]
        for start in range(0, len(fresh), BLOCK):
            block = fresh[start : start + BLOCK]
            choices = genes_to_choices(
                np.frombuffer(b"".join(block), dtype=np.int16).reshape(len(block), -1), space
            )
            logits = oracle.logits(choices)
            found = find_misclassified(choices, logits, label)
            if found is not None:
                return found
            waiting_since = range(len(seen), len(seen) + len(block))
            seen.update(block)
            for entry in zip(margins_of(logits, label).tolist(), waiting_since, block, strict=True):
                heapq.heappush(waiting, entry)
    return None


def _neighbours(space: SearchSpace, genes: NDArray[np.int16]) -> list[bytes]:
    """Every text that differs from ``genes`` at one position, as the bytes of its genes."""
    sizes = space.sizes[space.positions].astype(np.intp)
    every = with_each_change(
        genes,
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([np.arange(size, dtype=np.int16) for size in sizes]),
    )
    return [row.tobytes() for row in every if not np.array_equal(row, genes)]
