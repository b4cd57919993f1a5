"""Tests of spaces: what they hold, count and refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from robench import SearchSpace

SPACE = SearchSpace(("a", "b", "c"), (("a", "a1", "a2"), ("b",), ("c", "c1")), 3)


def test_sizes_positions_and_cardinality() -> None:
    assert SPACE.sizes.tolist() == [3, 1, 2]
    assert SPACE.positions.tolist() == [0, 2]
    assert SPACE.cardinality == 6
    assert SPACE.original().tolist() == [0, 0, 0]
    assert SPACE.text(np.array([2, 0, 1])) == ("a2", "b", "c1")


def test_cardinality_is_exact_beyond_machine_integers() -> None:
    words = tuple(f"w{number}" for number in range(100))
    space = SearchSpace(words, tuple((word, "x", "y") for word in words), 100)
    assert space.cardinality == 3**100


@pytest.mark.parametrize(
    ("row", "inside"),
    [
        ([0, 0, 0], True),
        ([2, 0, 1], True),
        ([3, 0, 0], False),
        ([0, 1, 0], False),
        ([0, 0, -1], False),
        ([0, 0], False),
    ],
)
def test_contains_accepts_choices_of_the_space_only(row: list[int], inside: bool) -> None:
    assert SPACE.contains(np.array(row, dtype=np.int16)) is inside


def test_a_space_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        SPACE.sizes[0] = 9
    with pytest.raises(ValueError, match="read-only"):
        SPACE.positions[0] = 9


def test_a_space_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(SPACE))
    assert copy == SPACE
    assert copy.sizes.tolist() == [3, 1, 2]


def test_an_empty_text_has_a_space_of_one_text() -> None:
    space = SearchSpace((), (), 0)
    assert (space.cardinality, space.sizes.shape, space.positions.shape) == (1, (0,), (0,))
    assert space.contains(space.original())


@pytest.mark.parametrize(
    ("words", "options", "visible", "sentence"),
    [
        (("a",), (), 1, "1 words but 0 lists"),
        (("a",), ((),), 1, "option 0 of position 0"),
        (("a",), (("b", "a"),), 1, "option 0 of position 0"),
        (("a", "b"), (("a",), ("b", "c")), 1, "beyond the victim's window"),
    ],
)
def test_invalid_spaces_are_refused(
    words: tuple[str, ...], options: tuple[tuple[str, ...], ...], visible: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        SearchSpace(words, options, visible)
