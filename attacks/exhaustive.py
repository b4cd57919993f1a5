"""Exhaustive search: every text of a small space, and best-first search in a larger one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robench import ATTACKS, Attack, Choice, Oracle, SearchSpace
from robench.methods import (
    ask_until_misclassified,
    find_misclassified,
    genes_to_choices,
    log_odds,
    single_substitutions,
    with_each_change,
)

BLOCK = 256
"""Texts queried at once."""


@ATTACKS.register("exhaustive")
class Exhaustive(Attack):
    """Query every text of a small space, the likeliest to fool the victim first.

    A space of at most ``max_size`` texts is queried whole. An example that holds there is proved to
    hold. The search begins with the original text and all single substitutions. Their margins rank
    the options of each position, and the positions. All texts follow, beginning with the best
    option at every position. The position with the least effect changes fastest.

    A larger space is searched best first. The search takes the text with the least margin of all
    texts seen and queries its neighbours, which differ at one position. It ends after ``max_size``
    texts.
    """

    paper = "none: the reference that shows how far other attacks stay above exact robustness"
    cost = "up to max_size texts, and at least every single substitution"
    deviations = (
        f"Texts are queried in blocks of up to {BLOCK}, so some queries after the success are"
        " counted.",
    )
    language_model = True

    class Options(Attack.Options):
        """The size up to which a space is small."""

        max_size: int = Field(
            10_000,
            ge=1,
            le=2**31,
            description="Largest space that is searched whole; of a larger one,"
            " this many texts are queried.",
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
        original = space.original()
        singles = with_each_change(original, *single_substitutions(space))
        choices = np.concatenate([original[None], singles])
        logits = oracle.logits(choices)
        found = find_misclassified(choices, logits, label)
        if found is not None:
            return found
        ranked = _ranked(space, log_odds(logits, label))
        return ask_until_misclassified(oracle, _all_texts(space, ranked), label)


def _ranked(space: SearchSpace, margins: NDArray[np.float64]) -> list[tuple[int, NDArray[np.intp]]]:
    """Rank the substitutable positions by the least margin that any option leaves there.

    Args:
        margins: of the original and of every single substitution, ``(1 + substitutions,)``.

    Returns:
        For each position, the one with the least margin first: its number among the substitutable
        positions, and its options in ascending order of margin.
    """
    ends = np.cumsum(space.sizes[space.positions].astype(np.intp) - 1)
    ranked = []
    for number, own in enumerate(np.split(margins[1:], ends[:-1])):
        # Option 0 is the original word, so it has the margin of the original text.
        with_original = np.concatenate([margins[:1], own])
        options = np.argsort(with_original, kind="stable")
        ranked.append((float(with_original.min()), number, options))
    ranked.sort(key=lambda entry: entry[:2])
    return [(number, options) for _, number, options in ranked]


def _all_texts(
    space: SearchSpace, ranked: list[tuple[int, NDArray[np.intp]]]
) -> Iterator[NDArray[np.int16]]:
    """Yield all texts of the space in blocks.

    The texts are counted like the digits of a number, one digit for each position. The last and
    fastest digit is the position with the least effect.
    """
    sizes = [len(options) for _, options in ranked]
    for start in range(0, space.cardinality, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, space.cardinality))
        digits = np.unravel_index(numbers, sizes)
        genes = np.empty((len(numbers), len(sizes)), dtype=np.int16)
        for (number, options), ranks in zip(ranked, digits, strict=True):
            genes[:, number] = options[ranks]
        yield genes_to_choices(genes, space)


def _best_first(space: SearchSpace, oracle: Oracle, label: int, most: int) -> Choice | None:
    """Query up to ``most`` texts, always the neighbours of the best text not yet expanded.

    The best text is the one with the least margin. Among equals it is the one seen first.
    """
    original = np.zeros(len(space.positions), dtype=np.int16).tobytes()
    # The heap orders texts by margin, then by the order in which they were seen.
    seen, waiting = {original}, [(0.0, 0, original)]
    while waiting and len(seen) <= most:
        genes = np.frombuffer(heapq.heappop(waiting)[2], dtype=np.int16)
        unseen = [key for key in _neighbours(space, genes) if key not in seen]
        unseen = unseen[: most + 1 - len(seen)]
        for start in range(0, len(unseen), BLOCK):
            block = unseen[start : start + BLOCK]
            rows = np.frombuffer(b"".join(block), dtype=np.int16).reshape(len(block), -1)
            choices = genes_to_choices(rows, space)
            logits = oracle.logits(choices)
            found = find_misclassified(choices, logits, label)
            if found is not None:
                return found
            ages = range(len(seen), len(seen) + len(block))
            seen.update(block)
            for entry in zip(log_odds(logits, label).tolist(), ages, block, strict=True):
                heapq.heappush(waiting, entry)
    return None


def _neighbours(space: SearchSpace, genes: NDArray[np.int16]) -> list[bytes]:
    """Return every text that differs from ``genes`` at one position, as the bytes of its genes."""
    sizes = space.sizes[space.positions].astype(np.intp)
    every = with_each_change(
        genes,
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([np.arange(size, dtype=np.int16) for size in sizes]),
    )
    return [row.tobytes() for row in every if not np.array_equal(row, genes)]
