"""The substitution set ``wordnet``, on a WordNet of a few words."""

from __future__ import annotations

import shutil
from pathlib import Path

import nltk
import pytest
from wordnet_files import SYNSETS, write_wordnet

from robench._base.errors import UsageError
from robench.tasks import assets
from robench.text import wordnet
from robench.text.function_words import FUNCTION_WORDS, is_content_word
from robench.text.substitutions import load_substitutions


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setattr(wordnet, "cache_folder", lambda: cache)
    monkeypatch.setattr(nltk.data, "path", [])
    return cache


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_wordnet(tmp_path / "data" / "corpora" / "wordnet")
    return tmp_path / "data"


def test_synonyms_are_the_single_words_of_every_sense_and_part_of_speech(data: Path) -> None:
    found = load_substitutions("wordnet", data)
    assert found.name == "wordnet"
    # No lemma of several words, no name, no function word, and not the word itself.
    assert found.of("film", "cased") == ("movie", "pic", "layer", "shoot", "take")
    assert found.of("watch", "cased") == ("see",)
    assert found.of("good", "cased") == ("solid", "well")


def test_an_inflected_word_is_looked_up_by_its_base_form(data: Path) -> None:
    assert load_substitutions("wordnet", data).of("movies", "cased") == ("film", "movie", "pic")


def test_case_is_that_of_every_other_set(data: Path) -> None:
    found = load_substitutions("wordnet", data)
    assert found.of("Watch", "cased") == ()
    assert found.of("Watch", "lower") == ("See",)


def test_words_without_content_have_no_synonyms(data: Path) -> None:
    found = load_substitutions("wordnet", data)
    assert [found.of(word, "cased") for word in ("be", "10/10", "unheard")] == [(), (), ()]
    assert len(found) == 11


def test_an_archive_and_a_folder_give_the_same_set(data: Path, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    shutil.make_archive(str(archives / "nltk_wordnet"), "xztar", data)
    from_archive = load_substitutions("wordnet", archives)
    assert from_archive.sha256 == load_substitutions("wordnet", data).sha256
    assert from_archive.of("watch", "cased") == ("see",)


def test_another_wordnet_is_another_set(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_wordnet(other / "wordnet", {**SYNSETS, "adv": [["well", "nicely"]]})
    assert load_substitutions("wordnet", other).sha256 != load_substitutions("wordnet", data).sha256


def test_the_copy_of_nltk_is_found_without_a_data_folder(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nltk.data, "path", [str(data)])
    assert load_substitutions("wordnet").of("watch", "cased") == ("see",)


def test_without_wordnet_the_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_substitutions("wordnet", None)
    assert str(caught.value) == (
        "WordNet was not found: no data folder is named, and NLTK has no copy. Run "
        "'python -m nltk.downloader wordnet', or put an archive with corpora/wordnet into the "
        "folder that --data or ROBENCH_DATA names."
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match=f"'{empty}' does not hold it"):
        load_substitutions("wordnet", empty)


def test_a_cache_that_cannot_be_written_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(wordnet, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be written"):
        load_substitutions("wordnet", data)


def test_function_words_carry_no_content() -> None:
    assert all(word == word.lower() for word in FUNCTION_WORDS)
    assert not any(map(is_content_word, ("not", "The", "n't", "well-known", "10")))
    assert all(map(is_content_word, ("good", "Film", "well")))
    assert assets.cache_folder().name == "assets"
