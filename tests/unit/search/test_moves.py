"""Hand-computed tests of the functions that searches share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robench import SearchSpace
from robench.search.moves import (
    ask_until_misclassified,
    find_misclassified,
    genes_to_choices,
    rank_within_owner,
    single_substitutions,
    with_each_change,
)

SPACE = SearchSpace(
    tuple("axbc"), (("a", "a1", "a2"), ("x",), ("b", "b1"), ("c", "c1", "c2", "c3")), 4
)
BARE = SearchSpace(("a",), (("a",),), 1)


def choices(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int16)


def test_every_single_substitution_is_listed_once() -> None:
    positions, options = single_substitutions(SPACE)
    assert positions.tolist() == [0, 0, 2, 3, 3, 3]
    assert options.tolist() == [1, 2, 1, 1, 2, 3]
    assert with_each_change(SPACE.original(), positions, options).tolist() == [
        [1, 0, 0, 0],
        [2, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 2],
        [0, 0, 0, 3],
    ]


@pytest.mark.parametrize("space", [BARE, SearchSpace((), (), 0)])
def test_a_space_without_substitutes_has_no_substitutions(space: SearchSpace) -> None:
    positions, options = single_substitutions(space)
    assert (len(positions), len(options)) == (0, 0)
    assert with_each_change(space.original(), positions, options).shape == (0, len(space.words))


def test_the_given_choice_is_not_changed() -> None:
    current = np.array([0, 0, 1, 0], dtype=np.int16)
    assert with_each_change(
        current, np.array([0, 2]), np.array([2, 0], dtype=np.int16)
    ).tolist() == [
        [2, 0, 1, 0],
        [0, 0, 0, 0],
    ]
    assert current.tolist() == [0, 0, 1, 0]


def test_genes_become_choices() -> None:
    assert genes_to_choices(np.array([[2, 1, 3], [0, 0, 1]], dtype=np.int16), SPACE).tolist() == [
        [2, 0, 1, 3],
        [0, 0, 0, 1],
    ]


def test_things_are_numbered_within_their_owner() -> None:
    assert rank_within_owner(np.array([2, 0, 3, 1])).tolist() == [0, 1, 0, 1, 2, 0]
    assert rank_within_owner(np.array([], dtype=np.intp)).tolist() == []


def test_the_first_misclassified_text_is_taken_and_is_a_copy() -> None:
    rows = choices([0, 0], [1, 0], [0, 1])
    answers = np.array([[2, 1], [0, 1], [-5, 9]], dtype=np.float32)
    found = find_misclassified(rows, answers, 0)
    assert found is not None
    assert found.tolist() == [1, 0]
    found[0] = 7
    assert rows[1, 0] == 1
    assert find_misclassified(rows[:1], answers[:1], 0) is None


class Recording:
    """Is wrong on texts whose options add up to 5, and records the rows of each query."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def logits(self, rows: np.ndarray) -> np.ndarray:
        self.sizes.append(len(rows))
        return np.asarray(np.eye(2)[(rows.sum(axis=1) == 5).astype(int)])

    probs = logits_without = probs_without = None


def test_no_block_is_queried_after_the_one_that_fools() -> None:
    taken = []

    def blocks() -> Iterator[np.ndarray]:
        for rows in (choices([0, 0]), choices([1, 1], [2, 3], [3, 2]), choices([4, 1])):
            taken.append(len(rows))
            yield rows

    oracle = Recording()
    found = ask_until_misclassified(oracle, blocks(), 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.tolist() == [2, 3]
    assert oracle.sizes == taken == [1, 3]
    assert ask_until_misclassified(oracle, [choices([9, 9])], 0) is None  # type: ignore[arg-type]
