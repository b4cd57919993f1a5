"""Candidates of a masked language model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from text_cases import whole_word_tokenizer

from robench._base.errors import UsageError
from robench.evaluation.substitution_sources import SetFinder
from robench.text.function_words import is_content_word
from robench.text.masked_candidates import K, MaskedCandidates, windows
from robench.text.sources import SubstituteSource

TEXT = ("the", "acting", "is", "Good", "and", "the", "plot", "zxqvw", "well-known", ".")


@pytest.fixture(scope="module")
def tiny() -> SubstituteSource:
    return SetFinder(None, "tiny", "tiny", "cpu").find("masked-lm", "", [])


def test_candidates_are_other_content_words(tiny: SubstituteSource) -> None:
    found = tiny.of_text(TEXT, "lower", len(TEXT))
    assert tiny.name == "masked-lm of tiny"
    assert sorted(found) == [1, 3, 6]
    for position, listed in found.items():
        assert 0 < len(listed) <= K
        assert TEXT[position] not in listed
        assert all(map(is_content_word, listed))
    assert all(word[0].isupper() for word in found[3])


def test_capitalised_words_have_none_where_the_lookup_is_cased(tiny: SubstituteSource) -> None:
    assert sorted(tiny.of_text(TEXT, "cased", len(TEXT))) == [1, 6]
    assert sorted(tiny.of_text(TEXT, "cased", 2)) == [1]
    assert tiny.of_text(TEXT, "cased", 1) == {}


def test_the_context_counts(tiny: SubstituteSource) -> None:
    one = tiny.of_text(("the", "plot", "of", "this", "film"), "cased", 5)
    other = tiny.of_text(("they", "plot", "a", "murder", "tonight"), "cased", 5)
    assert one[1] != other[1]
    assert tiny.of_text(TEXT, "cased", 9) == tiny.of_text(TEXT, "cased", 9)


def test_a_text_beyond_the_window_has_candidates_to_its_end(tiny: SubstituteSource) -> None:
    words = ("the", "film", "was", "good", ".") * 160
    found = tiny.of_text(words, "cased", len(words))
    assert sorted(found) == [place for place, word in enumerate(words) if word in ("film", "good")]


@pytest.mark.parametrize(("count", "room"), [(10, 20), (100, 20), (101, 7), (40, 3)])
def test_windows_answer_for_every_place_once(count: int, room: int) -> None:
    lengths = [1 + place % 2 for place in range(count)]
    places = list(range(0, count, 3))
    found = windows(lengths, places, room)
    assert [place for *_, inside in found for place in inside] == places
    for start, end, inside in found:
        assert sum(lengths[start:end]) <= room
        assert all(start <= place < end for place in inside)
    assert all(one[0] <= other[0] for one, other in pairwise(found))
    assert windows(lengths, [], room) == []


def test_a_model_without_a_mask_is_refused(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["good"])
    tokenizer.mask_token = None
    model: Any = None
    with pytest.raises(UsageError, match="needs a masked language model, and 'mine' has no mask"):
        MaskedCandidates(model, tokenizer, "mine", "0" * 64)


def test_the_language_model_of_the_run_makes_the_candidates() -> None:
    finder = SetFinder(None, "tiny", "causal:gpt2", "cpu")
    assert finder.find("masked-lm", "", []).name == "masked-lm of tiny"
    with pytest.raises(UsageError, match="The masked language model '/nowhere' cannot be loaded"):
        SetFinder(None, "tiny", "masked:/nowhere", "cpu").find("masked-lm", "", [])
