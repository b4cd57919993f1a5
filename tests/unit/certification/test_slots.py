"""A space as rows of tokens with slots."""

from __future__ import annotations

import numpy as np
from certified import WordRows, space_of

from robench.certification.slots import Slots, slots_of
from robench.text.space import SearchSpace

IDS = {
    "a": [10],
    "film": [11],
    "movie": [12],
    "picture": [12],
    "good": [13],
    "fine": [14],
    "nice": [15],
    "really": [16],
    "truly": [17, 18],
    "same": [13],
}


def found(space: SearchSpace, *, aligned: bool = True, longest: int = 40) -> Slots | None:
    return slots_of(space, WordRows(space, IDS, longest), aligned=aligned, longest=longest)


def test_every_row_of_the_slots_is_a_text_of_the_space() -> None:
    space = space_of("a", "good fine nice", "film movie picture")
    slots = found(space)
    assert slots is not None
    assert slots.columns == (2, 3)
    # Two substitutes with one token are one slot.
    assert slots.tokens == ((13, 14, 15), (11, 12))
    assert slots.cardinality == 6 < space.cardinality == 9
    rows = {tuple(row) for row in slots.rows(0, 6).tolist()}
    sizes = [range(size) for size in space.sizes.tolist()]
    choices = np.array(np.meshgrid(*sizes, indexing="ij")).reshape(3, -1).T.astype(np.int16)
    encoded, _ = WordRows(space, IDS).encode(choices)
    assert rows == {tuple(row) for row in encoded.tolist()}
    assert slots.rows(0, 1).tolist() == [[2, 10, 13, 11, 3]]


def test_a_substitute_with_the_same_token_gives_no_position() -> None:
    slots = found(space_of("good same", "film"))
    assert slots is not None
    assert slots.columns == ()
    assert slots.cardinality == 1


def test_a_space_without_substitutes_is_one_row() -> None:
    slots = found(space_of("good", "film"))
    assert slots is not None
    assert slots.rows(0, 1).tolist() == [[2, 13, 11, 3]]


def test_a_substitute_of_two_tokens_has_no_slots() -> None:
    assert found(space_of("really truly", "good fine")) is None


def test_a_cut_row_has_no_slots_unless_each_word_is_one_token() -> None:
    space = space_of("good fine", "film movie", "a", visible=2)
    assert found(space, aligned=False, longest=4) is None
    slots = found(space, aligned=True, longest=4)
    assert slots is not None
    assert slots.cardinality == 4


def test_a_part_fixes_one_position() -> None:
    slots = found(space_of("good fine nice", "film movie"))
    assert slots is not None
    part = slots.restricted(0, 15)
    assert part.columns == (2,)
    assert {tuple(row) for row in part.rows(0, 2).tolist()} == {(2, 15, 11, 3), (2, 15, 12, 3)}
    # The whole is unchanged.
    assert slots.ids.tolist() == [2, 13, 11, 3]
