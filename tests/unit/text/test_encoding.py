"""Encoded texts and candidates: layouts, the window, and equality with tokenising the string."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_cases import FAMILIES, ODD_WORDS, make_tokenizer, whole_word_tokenizer

from robench._base.errors import UsageError
from robench.text.encoding import FieldEncoder
from robench.text.space import SearchSpace
from robench.text.word_table import WordTable
from robench.text.words import join_words

LETTERS = tuple("abcdefghijklmnop")
SOME_WORDS = st.lists(
    st.sampled_from((*ODD_WORDS, "good", "film", "wonderful", "Nobody", "sleep")),
    min_size=1,
    max_size=14,
)


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def letters(tmp_path: Path) -> Any:
    """A tokenizer with one id a letter.

    ``a`` is 5, ``b`` is 6, …; [CLS] is 2, [SEP] 3, [UNK] 1, [PAD] 0.
    """
    return whole_word_tokenizer(tmp_path, LETTERS)


@cache
def table_of(tokenizer: Any, mode: Any) -> WordTable:
    return WordTable(tokenizer, mode)


def single(tokenizer: Any, mode: Any, max_tokens: int) -> FieldEncoder:
    return FieldEncoder(
        table_of(tokenizer, mode), ["text"], "text", max_tokens, segments=mode == "subword"
    )


def pair(
    tokenizer: Any, mode: Any, max_tokens: int, segments: bool, attackable: str = "hypothesis"
) -> FieldEncoder:
    return FieldEncoder(
        table_of(tokenizer, mode), ["premise", "hypothesis"], attackable, max_tokens, segments
    )


def make_space(words: Sequence[str], substitutes: Sequence[str], visible: int) -> SearchSpace:
    options = []
    for position, word in enumerate(words):
        others = [other for other in dict.fromkeys(substitutes) if other != word]
        options.append((word, *others) if position < visible else (word,))
    return SearchSpace(tuple(words), tuple(options), visible)


def random_choices(space: SearchSpace, count: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            space.original()[None],
            rng.integers(0, space.sizes, size=(count, len(space.words))).astype(np.int16),
        ]
    )


# Layouts


def test_bert_single_layout(letters: Any) -> None:
    row = single(letters, "word", 10).encode({"text": ["a", "b", "zz"]})
    assert row.ids.tolist() == [2, 5, 6, 1, 3]
    assert row.types.tolist() == [0] * 5
    assert (row.first, row.visible, row.word_starts.tolist()) == (1, 3, [1, 2, 3])
    assert [array.dtype.name for array in (row.ids, row.types, row.word_starts)] == [
        "int32",
        "int8",
        "int32",
    ]


def test_bert_pair_without_segments_has_one_token_type(letters: Any) -> None:
    row = pair(letters, "word", 10, segments=False).encode(
        {"premise": ["a", "b"], "hypothesis": ["c"]}
    )
    assert row.ids.tolist() == [2, 5, 6, 3, 7, 3]
    assert row.types.tolist() == [0] * 6
    assert (row.first, row.visible, row.word_starts.tolist()) == (4, 1, [4])


def test_bert_pair_with_segments_has_two_token_types(letters: Any) -> None:
    row = pair(letters, "subword", 10, segments=True).encode(
        {"premise": ["a", "b"], "hypothesis": ["c"]}
    )
    assert row.ids.tolist() == [2, 5, 6, 3, 7, 3]
    assert row.types.tolist() == [0, 0, 0, 0, 1, 1]


def test_roberta_pair_has_one_separator_without_segments_and_two_with(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bytelevel", tmp_path)
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    fields = {"premise": ["film"], "hypothesis": ["good"]}
    plain = pair(tokenizer, "word", 20, segments=False)
    film, good = (plain.table.ids(word)[0] for word in ("film", "good"))
    assert plain.encode(fields).ids.tolist() == [begin, film, end, good, end]
    assert (
        pair(tokenizer, "subword", 20, segments=True).encode(fields).ids.tolist()
        == tokenizer("film", "good")["input_ids"]
    )
    assert not pair(tokenizer, "subword", 20, segments=True).encode(fields).types.any()


@given(premise=SOME_WORDS, hypothesis=SOME_WORDS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_pair_with_segments_equals_the_tokenizers_own_template(
    tokenizer: Any, premise: list[str], hypothesis: list[str]
) -> None:
    row = pair(tokenizer, "subword", 2000, segments=True).encode(
        {"premise": premise, "hypothesis": hypothesis}
    )
    expected = tokenizer(join_words(premise), join_words(hypothesis), return_token_type_ids=True)
    assert row.ids.tolist() == expected["input_ids"]
    assert row.types.tolist() == expected["token_type_ids"]


def test_more_fields_than_a_pair_need_a_layout_without_segments(letters: Any) -> None:
    table = WordTable(letters, "word")
    row = FieldEncoder(table, ["x", "y", "z"], "y", 20, segments=False).encode(
        {"x": ["a"], "y": ["b"], "z": ["c"]}
    )
    assert row.ids.tolist() == [2, 5, 3, 6, 3, 7, 3]
    with pytest.raises(UsageError, match="3 fields does not fit"):
        FieldEncoder(table, ["x", "y", "z"], "y", 20, segments=True)


def test_an_unknown_attackable_field_raises_value_error(letters: Any) -> None:
    with pytest.raises(ValueError, match="'body' is not one of"):
        FieldEncoder(WordTable(letters, "word"), ["text"], "body", 20, segments=False)


# The window


def test_the_window_counts_special_tokens(letters: Any) -> None:
    row = single(letters, "word", 300).encode({"text": ["a"] * 400})
    assert len(row.ids) == 300
    # RIFT's release sees as much of an IMDB review.
    assert row.visible == 298
    assert row.ids[-1] == 3


def test_a_window_without_room_is_refused(letters: Any) -> None:
    with pytest.raises(UsageError, match="A window of 2 tokens holds no word"):
        single(letters, "word", 2)


def test_the_context_is_cut_first_and_only_as_far_as_needed(letters: Any) -> None:
    # 10 of the 13 tokens are left for words.
    encoder = pair(letters, "word", 13, segments=False)
    row = encoder.encode({"premise": list("abcdefgh"), "hypothesis": list("ijkl")})
    assert row.ids.tolist() == [2, 5, 6, 7, 8, 9, 10, 3, 13, 14, 15, 16, 3]
    assert row.visible == 4
    # These fields fit exactly.
    whole = encoder.encode({"premise": list("abcdef"), "hypothesis": list("ijkl")})
    assert len(whole.ids) == 13


def test_the_context_keeps_a_quarter_of_the_window(letters: Any) -> None:
    # 12 of the 15 tokens are left for words.
    row = pair(letters, "word", 15, segments=False).encode(
        {"premise": list("abcdefgh"), "hypothesis": list("ijklmnopijklmnop")}
    )
    assert row.ids.tolist()[:5] == [2, 5, 6, 7, 3]
    assert row.visible == 9
    short = pair(letters, "word", 15, segments=False).encode(
        {"premise": ["a"], "hypothesis": list("ijklmnopijklmnop")}
    )
    assert short.visible == 11


def test_the_attackable_field_may_come_first(letters: Any) -> None:
    # 6 of the 9 tokens are left for words.
    encoder = pair(letters, "subword", 9, segments=True, attackable="premise")
    fields = {"premise": list("abcd"), "hypothesis": list("efgh")}
    row = encoder.encode(fields)
    assert row.ids.tolist() == [2, 5, 6, 7, 8, 3, 9, 10, 3]
    assert row.types.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert (row.first, row.visible) == (1, 4)
    candidates = encoder.candidates(fields, make_space(fields["premise"], ["p"], 4))
    ids, lengths = candidates.encode(np.array([[0, 1, 0, 1]], dtype=np.int16))
    assert ids.tolist() == [[2, 5, 20, 7, 20, 3, 9, 10, 3]]
    assert candidates.types(int(lengths[0])).tolist() == row.types.tolist()


def test_a_word_cut_by_the_window_is_not_visible(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["a", "b", "##c", "##d"])
    # The words have 1 + 2 + 3 pieces, and there is room for 4.
    row = single(tokenizer, "subword", 6).encode({"text": ["a", "bc", "bcd"]})
    assert row.ids.tolist() == [2, 5, 6, 7, 6, 3]
    assert (row.visible, row.word_starts.tolist()) == (2, [1, 2])


@given(words=SOME_WORDS, max_tokens=st.integers(3, 40))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_window_cuts_as_the_tokenizer_truncates(
    tokenizer: Any, words: list[str], max_tokens: int
) -> None:
    row = single(tokenizer, "subword", max_tokens).encode({"text": words})
    assert (
        row.ids.tolist()
        == tokenizer(join_words(words), truncation=True, max_length=max_tokens)["input_ids"]
    )
    assert row.visible <= len(words)
    assert np.all(np.diff(row.word_starts) >= 0)


# Candidates


@pytest.mark.slow
@given(
    words=SOME_WORDS,
    substitutes=st.lists(st.sampled_from((*ODD_WORDS, "bad")), max_size=5),
    max_tokens=st.integers(4, 40),
    seed=st.integers(0, 99),
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_candidate_equals_its_tokenised_string(
    tokenizer: Any, words: list[str], substitutes: list[str], max_tokens: int, seed: int
) -> None:
    encoder = single(tokenizer, "subword", max_tokens)
    space = make_space(words, substitutes, encoder.encode({"text": words}).visible)
    choices = random_choices(space, 5, seed)
    ids, lengths = encoder.candidates({"text": words}, space).encode(choices)
    assert ids.shape == (6, lengths.max())
    for choice, row, length in zip(choices, ids, lengths, strict=True):
        text = join_words(space.text(choice))
        expected = tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]
        assert row[:length].tolist() == expected
        assert np.all(row[length:] == encoder.table.pad_id)


@given(words=SOME_WORDS, max_tokens=st.integers(6, 30), seed=st.integers(0, 99))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_candidate_in_word_mode_equals_its_encoded_words(
    tokenizer: Any, words: list[str], max_tokens: int, seed: int
) -> None:
    encoder = pair(tokenizer, "word", max_tokens, segments=False)
    fields = {"premise": ["good", "film"], "hypothesis": words}
    original = encoder.encode(fields)
    space = make_space(words, ["bad", "sleep", "10/10"], original.visible)
    choices = random_choices(space, 5, seed)
    candidates = encoder.candidates(fields, space)
    ids, lengths = candidates.encode(choices)
    assert set(lengths.tolist()) == {len(original.ids)}
    for choice, row in zip(choices, ids, strict=True):
        again = encoder.encode({**fields, "hypothesis": space.text(choice)})
        assert row.tolist() == again.ids.tolist()
        assert candidates.types(len(row)).tolist() == again.types.tolist()


def test_all_candidates_share_the_context_of_the_original(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["a", "b", "##c", "##d"])
    # 8 of the 11 tokens are left for words.
    encoder = pair(tokenizer, "subword", 11, segments=True)
    fields = {"premise": ["b"] * 6, "hypothesis": ["a", "a", "a"]}
    space = make_space(fields["hypothesis"], ["bcd"], 3)
    ids, lengths = encoder.candidates(fields, space).encode(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.int16)
    )
    # Every candidate has five words of context; with longer pieces the hypothesis loses its end.
    assert ids.tolist() == [
        [2, 6, 6, 6, 6, 6, 3, 5, 5, 5, 3],
        [2, 6, 6, 6, 6, 6, 3, 6, 7, 8, 3],
        [2, 6, 6, 6, 6, 6, 3, 6, 7, 8, 3],
    ]
    assert lengths.tolist() == [11, 11, 11]


def test_shorter_pieces_make_room_for_the_next_words(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["a", "b", "##c", "##d"])
    # 3 of the 5 tokens are left for words.
    encoder = single(tokenizer, "subword", 5)
    words = ["bcd", "a", "b", "a"]
    space = make_space(words, ["a"], encoder.encode({"text": words}).visible)
    assert space.visible == 1
    ids, lengths = encoder.candidates({"text": words}, space).encode(
        np.array([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=np.int16)
    )
    assert ids.tolist() == [[2, 6, 7, 8, 3], [2, 5, 5, 6, 3]]
    assert lengths.tolist() == [5, 5]


@pytest.mark.parametrize("mode", ["word", "subword"])
def test_encode_without_replaces_the_word_by_the_unknown_token(tokenizer: Any, mode: Any) -> None:
    encoder = single(tokenizer, mode, 30)
    words = ["good", "well-known", "film", "sleep"]
    space = make_space(words, ["bad"], 4)
    choice = np.array([0, 0, 1, 0], dtype=np.int16)
    ids, lengths = encoder.candidates({"text": words}, space).encode_without(
        choice, np.array([1, 3])
    )
    table = encoder.table
    chosen = [table.ids(word, first=i == 0) for i, word in enumerate(space.text(choice))]
    for row, length, position in zip(ids, lengths, (1, 3), strict=True):
        expected: list[int] = []
        for place, pieces in enumerate(chosen):
            expected += (table.unknown_id,) if place == position else pieces
        assert row[1 : length - 1].tolist() == expected


def test_encode_without_a_word_beyond_the_window_changes_nothing(letters: Any) -> None:
    encoder = single(letters, "word", 4)
    words = list("abcd")
    candidates = encoder.candidates({"text": words}, make_space(words, ["p"], 2))
    ids, _ = candidates.encode_without(np.zeros(4, dtype=np.int16), np.array([1, 3]))
    assert ids.tolist() == [[2, 5, 1, 3], [2, 5, 6, 3]]
    assert candidates.encode(np.zeros((0, 4), dtype=np.int16))[0].shape[0] == 0


@given(words=SOME_WORDS, max_tokens=st.integers(6, 30), seed=st.integers(0, 99))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("mode", ["word", "subword"])
def test_the_span_of_a_word_holds_its_tokens(
    tokenizer: Any, mode: Any, words: list[str], max_tokens: int, seed: int
) -> None:
    encoder = pair(tokenizer, mode, max_tokens, segments=False)
    fields = {"premise": ["good", "film"], "hypothesis": words}
    original = encoder.encode(fields)
    space = make_space(words, ["bad", "sleep", "10/10"], original.visible)
    candidates = encoder.candidates(fields, space)
    for choice in random_choices(space, 3, seed):
        (row,), (length,) = candidates.encode(choice[None])
        spans = candidates.spans(choice)
        assert spans.shape == (len(words), 2)
        assert (spans[1:, 0] == spans[:-1, 1]).all()
        assert spans.max() < length
        for place, (word, (first, end)) in enumerate(
            zip(space.text(choice), spans.tolist(), strict=True)
        ):
            pieces = list(encoder.table.ids(word, first=place == 0))
            assert row[first:end].tolist() == pieces[: end - first]
            # Only the last word inside the window can be cut.
            assert end - first == len(pieces) or end == spans[-1, 1]


def test_a_word_beyond_the_window_has_an_empty_span(letters: Any) -> None:
    encoder = single(letters, "word", 4)
    words = list("abcd")
    candidates = encoder.candidates({"text": words}, make_space(words, ["p"], 2))
    spans = candidates.spans(np.array([1, 0, 0, 0], dtype=np.int16))
    assert spans.tolist() == [[1, 2], [2, 3], [3, 3], [3, 3]]


def test_a_space_of_other_words_is_refused(letters: Any) -> None:
    encoder = single(letters, "word", 10)
    with pytest.raises(ValueError, match="not those of field 'text'"):
        encoder.candidates({"text": ["a"]}, make_space(["b"], [], 1))


@pytest.mark.parametrize("mode", ["word", "subword"])
def test_a_text_without_words_is_encoded(letters: Any, mode: Any) -> None:
    encoder = single(letters, mode, 10)
    assert encoder.encode({"text": []}).ids.tolist() == [2, 3]
    ids, lengths = encoder.candidates({"text": []}, SearchSpace((), (), 0)).encode(
        np.zeros((2, 0), dtype=np.int16)
    )
    assert ids.tolist() == [[2, 3], [2, 3]]
    assert lengths.tolist() == [2, 2]
