"""Sets of tokens around words, compared with sets made by hand from words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from victim_cases import tokenizer

from robench.text.word_sets import WordSets, neighbourhoods, perturbation_sets
from robench.text.word_table import WordTable

WORDS = ("a1", "a2", "a3", "b1", "b2", "c1", "d1", "d2", "d3", "d4", "d5", "lone")


class Chain:
    """Substitutes by a dictionary."""

    def __init__(self, neighbours: Mapping[str, Sequence[str]]) -> None:
        self.neighbours = neighbours

    def of(self, word: str, lookup: str) -> Sequence[str]:
        return self.neighbours.get(word, ())


SUBSTITUTES = Chain(
    {
        "a1": ("a2",),
        "a2": ("a3", "a1"),
        # The encoder does not know 'zzz'.
        "b1": ("b2", "zzz"),
        "c1": ("zzz",),
        # A chain d1 - d2 - d3 - d4 - d5, written in one direction.
        "d1": ("d2",),
        "d2": ("d3",),
        "d3": ("d4",),
        "d4": ("d5",),
    }
)


@pytest.fixture(scope="module")
def table() -> WordTable:
    return WordTable(tokenizer(WORDS), "word")


def named(sets: WordSets, table: WordTable, word: str) -> list[str]:
    pieces = table.tokenizer.convert_ids_to_tokens(sets.set_of(table.ids(word)[0]).tolist())
    return list(pieces)


def vectors(table: WordTable) -> np.ndarray:
    """Return vectors on a circle, so that tokens with near numbers have near vectors."""
    angles = np.arange(len(table.tokenizer.get_vocab())) / 10
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_small_component_is_the_set_of_each_of_its_words(table: WordTable) -> None:
    sets = perturbation_sets(table, SUBSTITUTES, "cased", vectors(table), 4)
    for word in ("a1", "a2", "a3"):
        found = named(sets, table, word)
        assert found[0] == word
        assert sorted(found) == ["a1", "a2", "a3"]
    assert named(sets, table, "lone") == ["lone"]
    assert sets.sizes[table.ids("lone")[0]] == 0


def test_the_unknown_token_joins_the_sets_and_has_none(table: WordTable) -> None:
    sets = perturbation_sets(table, SUBSTITUTES, "cased", vectors(table), 4)
    assert sorted(named(sets, table, "b1")) == ["[UNK]", "b1", "b2"]
    assert sorted(named(sets, table, "b2")) == ["[UNK]", "b1", "b2"]
    assert named(sets, table, "c1") == ["c1", "[UNK]"]
    assert sets.sizes[table.unknown_id] == 0


def test_a_large_component_gives_the_fewest_substitutions_then_the_nearest_vectors(
    table: WordTable,
) -> None:
    sets = perturbation_sets(table, SUBSTITUTES, "cased", vectors(table), 3)
    assert named(sets, table, "d1") == ["d1", "d2", "d3"]
    # Both neighbours are one substitution away.
    assert sorted(named(sets, table, "d3")) == ["d2", "d3", "d4"]
    assert named(sets, table, "d5") == ["d5", "d4", "d3"]
    turned = vectors(table)
    turned[table.ids("d2")[0]] = -turned[table.ids("d3")[0]]
    two = perturbation_sets(table, SUBSTITUTES, "cased", turned, 2)
    assert named(two, table, "d3") == ["d3", "d4"]


def test_all_sets_of_a_component_are_equally_large(table: WordTable) -> None:
    for most in (2, 3, 4, 5, 9):
        sets = perturbation_sets(table, SUBSTITUTES, "cased", vectors(table), most)
        sizes = {int(sets.sizes[table.ids(f"d{number}")[0]]) for number in range(1, 6)}
        assert sizes == {min(most, 5)}


def test_the_overlap_is_the_share_of_common_words(table: WordTable) -> None:
    sets = perturbation_sets(table, SUBSTITUTES, "cased", vectors(table), 3)
    token = {word: table.ids(word)[0] for word in WORDS}
    assert sets.overlap(token["a1"], token["a3"]) == 1
    assert sets.overlap(token["d1"], token["d5"]) == pytest.approx(1 / 3)
    assert sets.overlap(token["d1"], token["a1"]) == 0
    assert sets.overlap(token["lone"], token["lone"]) == 1
    assert sets.overlap(token["b1"], table.unknown_id) == pytest.approx(1 / 3)


def test_a_neighbourhood_holds_the_substitutes_and_theirs(table: WordTable) -> None:
    size = len(table.tokenizer.get_vocab())
    sets = neighbourhoods(table, SUBSTITUTES, "cased", size, 50)
    assert named(sets, table, "a1") == ["a1", "a2", "a3"]
    assert sets.near[table.ids("a1")[0]] == 2
    assert named(sets, table, "d1") == ["d1", "d2", "d3"]
    assert named(sets, table, "b1") == ["b1", "b2", "[UNK]"]
    assert sets.near[table.ids("b1")[0]] == 3
    # The file names no substitute of d5.
    assert named(sets, table, "d5") == ["d5"]


def test_a_neighbourhood_is_cut_from_its_end(table: WordTable) -> None:
    size = len(table.tokenizer.get_vocab())
    sets = neighbourhoods(table, SUBSTITUTES, "cased", size, 2)
    assert named(sets, table, "a2") == ["a2", "a3"]
    assert sets.near[table.ids("a2")[0]] == 2
