"""The words that a substitution set brings together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from robench.models.encoders import ENCODERS, load_tokenizer
from robench.text.links import SMALL, STEPS, Links
from robench.text.sources import WithoutPairs
from robench.text.substitutions import load_substitutions
from robench.text.word_sets import neighbourhoods, perturbation_sets
from robench.text.word_table import WordTable


def chain(length: int) -> dict[str, list[str]]:
    """Return a set in which each word has the next one as its only substitute."""
    return {one: [other] for one, other in pairwise(f"w{number}" for number in range(length))}


@pytest.mark.parametrize("pair", [("good", "fine"), ("fine", "good"), ("FINE", "Good")])
def test_the_words_of_a_pair_are_linked_in_both_directions_and_any_case(
    pair: tuple[str, str],
) -> None:
    assert Links({"good": ["fine"]}).linked(*pair)
    assert Links({"GOOD": ["Fine"]}).linked(*pair)


def test_words_without_a_way_between_them_are_not_linked() -> None:
    links = Links({"good": ["fine"], "bad": ["poor"], "alone": []})
    assert not links.linked("good", "bad")
    assert not links.linked("alone", "good")
    assert not links.linked("unheard", "good")
    assert not links.linked("good", "unheard")


def test_two_words_with_a_common_substitute_are_linked() -> None:
    assert Links({"good": ["fine"], "nice": ["fine"]}).linked("good", "nice")


def test_all_words_of_a_small_group_are_linked() -> None:
    assert Links(chain(SMALL)).linked("w0", f"w{SMALL - 1}")
    assert Links(chain(SMALL)).linked(f"w{SMALL - 1}", "w0")


def test_in_a_large_group_only_few_steps_link() -> None:
    links = Links(chain(SMALL + 1))
    for word in ("w0", "w100", f"w{SMALL}"):
        number = int(word[1:])
        linked = {other for other in range(SMALL + 1) if links.linked(word, f"w{other}")}
        assert linked == {other for other in range(SMALL + 1) if abs(other - number) <= STEPS}


def test_a_word_in_the_middle_reaches_a_small_group_and_no_large_one() -> None:
    assert Links(chain(2 * STEPS + 3)).linked(f"w{STEPS + 1}", "w0")
    star = {"hub": [f"leaf{number}" for number in range(SMALL)]}
    assert Links(star).linked("leaf0", f"leaf{SMALL - 1}")


@pytest.mark.slow
def test_no_held_out_pair_of_mini_reviews_is_in_a_set_that_a_randomised_victim_draws_from() -> None:
    own, known = load_substitutions("mini"), load_substitutions("mini-held-out")
    table = WordTable(load_tokenizer(ENCODERS["tiny"]), "word")
    size = len(table.tokenizer.get_vocab())
    # The vectors only say which words of a large group are taken.
    vectors = np.random.default_rng(0).normal(size=(size, 8))
    sets = [
        perturbation_sets(table, own, "cased", vectors, 100),
        neighbourhoods(table, own, "cased", size, 100),
    ]
    heads = sorted(known._neighbours)
    table.prepare([*heads, *(other for head in heads for other in known.of(head, "cased"))])

    def inside(pairs: dict[str, tuple[str, ...]]) -> int:
        return sum(
            table.ids(head) != table.ids(other)
            and any(table.ids(other)[0] in each.set_of(table.ids(head)[0]) for each in sets)
            for head, others in pairs.items()
            for other in others
        )

    left = WithoutPairs(known, [own]).of_text(heads, "cased", len(heads))
    assert inside({heads[number]: others for number, others in left.items()}) == 0
    assert inside({head: known.of(head, "cased") for head in heads}) > 400
