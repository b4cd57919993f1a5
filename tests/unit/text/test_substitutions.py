"""Substitution sets: lookup, case, and malformed files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import UsageError
from robench.text.punkt import chosen_punkt
from robench.text.substitutions import SubstitutionSet, load_substitutions


def written(folder: Path, content: Any) -> Path:
    path = folder / "set.json"
    text = content if isinstance(content, str) else json.dumps(content, default=repr)
    path.write_bytes(content if isinstance(content, bytes) else text.encode("utf-8"))
    return path


@pytest.fixture
def substitutions(tmp_path: Path) -> SubstitutionSet:
    content = {
        "good": ["fine", "nice", "good", "fine"],
        "i": ["me"],
        "the": [],
        "bbc": ["auntie"],
        "mcdonald": ["burger"],
    }
    return load_substitutions(str(written(tmp_path, content)))


def test_the_order_is_kept_and_the_word_and_repetitions_are_dropped(
    substitutions: SubstitutionSet,
) -> None:
    assert substitutions.of("good", "cased") == ("fine", "nice")
    assert substitutions.of("good", "lower") == ("fine", "nice")


@pytest.mark.parametrize("word", ["the", "absent", "Good", "GOOD", ""])
def test_the_cased_lookup_takes_the_word_as_it_is_written(
    substitutions: SubstitutionSet, word: str
) -> None:
    assert substitutions.of(word, "cased") == ()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Good", ("Fine", "Nice")),
        ("GOOD", ("FINE", "NICE")),
        ("gOOD", ("fine", "nice")),
        # A single capital counts as a capitalised word, not as a word in capitals.
        ("I", ("Me",)),
        ("BBC", ("AUNTIE",)),
        ("McDonald", ("burger",)),
        ("The", ()),
        ("Absent", ()),
    ],
)
def test_the_lower_lookup_restores_the_case(
    substitutions: SubstitutionSet, word: str, expected: tuple[str, ...]
) -> None:
    assert substitutions.of(word, "lower") == expected


def test_no_substitute_equals_the_word_after_its_case_is_restored(tmp_path: Path) -> None:
    found = load_substitutions(str(written(tmp_path, {"uk": ["UK", "britain", "Uk"]})))
    assert found.of("UK", "lower") == ("BRITAIN",)
    assert found.of("Uk", "lower") == ("Britain",)
    assert found.of("uk", "lower") == ("britain",)
    assert found.of("uk", "cased") == ("UK", "britain", "Uk")


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, {"good": ["fine"]})
    found = load_substitutions(str(path))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.name, len(found)) == ("set", 1)
    assert "1 heads" in repr(found)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "is not JSON|not UTF-8"),
        (b"[" * 100_000, "more than 2 deep"),
        (b'{"good": ["fine"], "good": ["bad"]}', "the key 'good' twice"),
        (b'{"good": [' + b"1" * 5000 + b"]}", "a number of 5,000 digits"),
        (b'{"\xff": ["fine"]}', "not UTF-8 text"),
        (b'{"good": ["\\ud800"]}', "half a character"),
        (["good"], "must be a JSON object"),
        ({"good": "fine"}, "'good' has fine"),
        ({"good": ["fine", 3]}, "list of single words"),
        ({"good": ["very fine"]}, "list of single words"),
        ({"good": [""]}, "list of single words"),
        ({"good": None}, "'good' has None"),
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence(
    tmp_path: Path, content: Any, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_substitutions(str(written(tmp_path, content)))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"no substitution set 'alzantod'\. Known: counterfitted, mini"
    ):
        load_substitutions("alzantod")


def test_the_published_set_is_found_as_an_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import robench.tasks.assets

    asked: list[tuple[str, Path | None]] = []
    path = written(tmp_path, {"good": ["fine"]})

    def find(name: str, folder: Path) -> Path:
        asked.append((name, folder))
        return path

    monkeypatch.setattr(robench.tasks.assets, "find_asset", find)
    found = load_substitutions("counterfitted", tmp_path)
    assert asked == [("counterfitted_neighbors.json", tmp_path)]
    assert (found.name, found.of("good", "cased")) == ("counterfitted", ("fine",))


def test_the_embedded_set_can_be_used() -> None:
    mini = load_substitutions("mini")
    assert mini.name == "mini"
    assert len(mini) >= 400


def test_a_word_that_the_splitter_takes_apart_is_no_substitute(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"must": ["should", "gotta", "ought", "cannot"]}))
    assert load_substitutions(str(path)).of("must", "cased") == ("should", "ought")


def test_each_choice_of_sentence_parameters_has_its_own_whole_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def counted(words: list[str]) -> set[str]:
        asked.extend(words)
        return set(words) if chosen_punkt() == "embedded" else set()

    monkeypatch.setattr("robench.text.substitutions.unsplit_words", counted)
    found = SubstitutionSet("own", "0" * 64, {"qgood": ("qfine", "qnice")})
    for _ in range(2):
        monkeypatch.delenv("ROBENCH_PUNKT", raising=False)
        assert found.of("qgood", "cased") == ("qfine", "qnice")
        monkeypatch.setenv("ROBENCH_PUNKT", "nltk")
        assert found.of("qgood", "cased") == ()
    assert asked == 2 * ["qfine", "qnice"]
