"""Sources of substitutes: a dictionary for whole texts, and a set without the pairs of others."""

from __future__ import annotations

import json
from pathlib import Path

from robench.text.sources import WithoutPairs
from robench.text.substitutions import SubstitutionSet, load_substitutions


def made(tmp_path: Path, name: str, content: dict[str, list[str]]) -> SubstitutionSet:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content))
    return load_substitutions(str(path))


def test_a_dictionary_answers_for_the_words_before_the_stop(tmp_path: Path) -> None:
    words = made(tmp_path, "own", {"good": ["fine", "good"], "film": ["movie"], "empty": []})
    text = ("good", "old", "empty", "film", "good")
    assert words.of_text(text, "cased", 4) == {0: ("fine",), 3: ("movie",)}
    assert words.of_text(text, "cased", 0) == {}
    assert words.of_text(("Good",), "cased", 1) == {}
    assert words.of_text(("Good",), "lower", 1) == {0: ("Fine",)}


def test_no_pair_of_the_other_sets_is_left(tmp_path: Path) -> None:
    source = made(
        tmp_path, "source", {"good": ["fine", "solid", "nice"], "fine": ["good"], "film": ["movie"]}
    )
    own = made(tmp_path, "own", {"good": ["fine"]})
    other = made(tmp_path, "other", {"nice": ["good"]})
    held_out = WithoutPairs(source, [own, other, own])
    assert held_out.of_text(("good", "fine", "film"), "lower", 3) == {0: ("solid",), 2: ("movie",)}
    assert held_out.of_text(("GOOD",), "lower", 1) == {0: ("SOLID",)}
    assert held_out.name == "source without own and other"


def test_no_words_are_left_that_the_other_set_links_in_several_steps(tmp_path: Path) -> None:
    source = made(tmp_path, "source", {"good": ["great", "solid"], "Film": ["Movie"]})
    own = made(tmp_path, "own", {"good": ["fine"], "great": ["fine"], "solid": ["firm"]})
    other = made(tmp_path, "other", {"fine": ["solid"]})
    # Each victim trains on one set, so a way through two of them links nothing.
    held_out = WithoutPairs(source, [own, other])
    assert held_out.of_text(("good", "Film"), "cased", 2) == {0: ("solid",), 1: ("Movie",)}


def test_the_identity_follows_from_both_sets_and_not_from_their_order(tmp_path: Path) -> None:
    one, two, three = (made(tmp_path, name, {name: ["x"]}) for name in ("one", "two", "three"))
    assert WithoutPairs(one, [two, three]).sha256 == WithoutPairs(one, [three, two]).sha256
    hashes = {
        WithoutPairs(source, others).sha256
        for source, others in [(one, [two]), (one, [three]), (two, [three]), (one, [two, three])]
    }
    assert len(hashes | {one.sha256}) == 5
