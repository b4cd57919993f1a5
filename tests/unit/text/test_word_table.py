"""The table that gives each word its token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_cases import FAMILIES, ODD_WORDS, TEXT, make_tokenizer, whole_word_tokenizer

from robench._base.errors import UsageError
from robench.text import word_table
from robench.text.word_table import WordTable
from robench.text.words import join_words

LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"])
WORDS = st.one_of(
    st.sampled_from(ODD_WORDS),
    st.sampled_from(" ".join(TEXT).split()),
    st.text(LETTERS, min_size=1, max_size=12),
)
# U+2581 is how SentencePiece itself writes a blank: a text that holds it is ambiguous to that family.
TEXTS = st.lists(
    WORDS.filter(lambda word: word.split() == [word] and "▁" not in word), min_size=1, max_size=12
)


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def subwords(tokenizer: Any) -> WordTable:
    return WordTable(tokenizer, "subword")


@pytest.fixture(scope="module")
def one_a_word(tokenizer: Any) -> WordTable:
    return WordTable(tokenizer, "word")


# The encoder's own pieces


@pytest.mark.slow
@given(TEXTS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_pieces_of_the_words_are_the_pieces_of_the_text(
    subwords: WordTable, words: list[str]
) -> None:
    together = [index for ids in subwords.text_ids(words) for index in ids]
    assert together == subwords.tokenizer(join_words(words), add_special_tokens=False)["input_ids"]


def test_all_odd_words_in_one_text(subwords: WordTable) -> None:
    words = [word for word in ODD_WORDS for word in (word, "film")]
    together = [index for ids in subwords.text_ids(words) for index in ids]
    assert together == subwords.tokenizer(join_words(words), add_special_tokens=False)["input_ids"]


def test_the_first_word_has_no_blank_before_it(tmp_path: Path) -> None:
    table = WordTable(make_tokenizer("bytelevel", tmp_path), "subword")
    assert table.ids("good", first=True) != table.ids("good")
    assert table.ids("good", first=True) == tuple(
        table.tokenizer("good", add_special_tokens=False)["input_ids"]
    )
    assert table.ids("good") == tuple(
        table.tokenizer(" good", add_special_tokens=False)["input_ids"]
    )


def test_a_word_of_characters_that_the_tokenizer_drops_has_no_piece(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("wordpiece", tmp_path)
    assert WordTable(tokenizer, "subword").ids("\u200b") == ()
    table = WordTable(tokenizer, "word")
    assert table.ids("\u200b") == (table.unknown_id,)


@pytest.mark.parametrize("mode", ["word", "subword"])
def test_words_without_end_are_not_all_remembered(
    tokenizer: Any, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the answers hang on what has been forgotten."""
    monkeypatch.setattr(word_table, "MEMORY_LIMIT", 40)
    table = WordTable(tokenizer, mode)
    texts = [[f"film{number}{letter}" for letter in "abcdefghij"] for number in range(12)]
    found = [table.text_ids(text) for text in texts]
    assert len(table._inner) <= 40
    assert len(table._first) <= 40
    assert [table.text_ids(text) for text in texts] == found
    monkeypatch.setattr(word_table, "MEMORY_LIMIT", 2**19)
    assert [WordTable(tokenizer, mode).text_ids(text) for text in texts] == found


def test_preparing_in_a_batch_gives_what_single_questions_give(tokenizer: Any) -> None:
    batch, single = WordTable(tokenizer, "subword"), WordTable(tokenizer, "subword")
    batch.prepare(ODD_WORDS)
    batch.prepare(ODD_WORDS, first=True)
    for word in ODD_WORDS:
        assert batch.ids(word) == single.ids(word)
        assert batch.ids(word, first=True) == single.ids(word, first=True)


def test_a_word_is_tokenised_once(tokenizer: Any) -> None:
    table = WordTable(tokenizer, "subword")
    calls: list[list[str]] = []
    encode = table._encode
    table._encode = lambda texts: calls.append(texts) or encode(texts)  # type: ignore[method-assign,func-returns-value]
    for _ in range(3):
        table.text_ids(["zebra", "crossing", "zebra", "crossing"])
    assert sum(len(texts) for texts in calls) == 3  # zebra first, crossing, zebra


# One token a word


@given(TEXTS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_one_id_for_every_word(one_a_word: WordTable, words: list[str]) -> None:
    for position, word in enumerate(words):
        ids = one_a_word.ids(word, first=position == 0)
        assert len(ids) == 1
        assert ids == one_a_word.ids(word)


def test_wordpiece_knows_a_word_or_does_not(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["good", "n't", "do", "##n", "a"])
    table = WordTable(tokenizer, "word")
    assert table.ids("good") == (5,)
    assert table.ids("GOOD") == (5,)  # the tokenizer lower-cases
    assert table.ids("n't") == (6,)  # an entry of its own, though the tokenizer would split it
    assert table.ids("don") == (table.unknown_id,)  # do + ##n: not one entry
    assert table.ids("[MASK]") == (table.unknown_id,)  # a text cannot write a special token
    assert WordTable(tokenizer, "subword").ids("don") == (7, 8)


def test_a_cased_wordpiece_keeps_case(tmp_path: Path) -> None:
    table = WordTable(make_tokenizer("wordpiece-cased", tmp_path), "word")
    assert table.ids("film") != (table.unknown_id,)
    assert table.ids("FILM") == (table.unknown_id,)


@pytest.mark.parametrize("family", ["bytelevel", "bytelevel-prefix", "unigram"])
def test_marked_pieces_give_the_first_that_says_more_than_the_mark(
    family: str, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer(family, tmp_path)
    table = WordTable(tokenizer, "word")
    for word in ("film", "n't", "10/10", "well-known"):
        pieces = tokenizer.convert_ids_to_tokens(
            tokenizer(f"a {word}", add_special_tokens=False)["input_ids"]
        )[len(tokenizer.tokenize("a")) :]
        expected = next(piece for piece in pieces if piece != table.mark)
        assert tokenizer.convert_ids_to_tokens(list(table.ids(word))) == [expected]


# Refusals


def test_a_tokenizer_without_padding_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bytelevel", tmp_path)
    tokenizer.pad_token = None
    with pytest.raises(UsageError, match="no padding token; set its pad_token"):
        WordTable(tokenizer, "word")


def test_a_tokenizer_that_lost_its_vocabulary_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    empty = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), unk_token="<unk>", pad_token="<pad>"
    )
    with pytest.raises(UsageError, match="makes no token of the word 'a'"):
        WordTable(empty, "word")


def test_a_tokenizer_that_joins_words_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = {
        "<unk>": 0,
        "<pad>": 1,
        **{
            letter: number
            for number, letter in enumerate(
                "abcdefghijklmnopqrstuvwxyz'T-`/0123456789!Zï ", start=2
            )
        },
    }
    # No pre-tokenizer: the merge "a f" crosses the blank.
    pieces |= {" f": len(pieces), "a f": len(pieces) + 1}
    merges = [(" ", "f"), ("a", " f")]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocab=pieces, merges=merges, unk_token="<unk>")),
        unk_token="<unk>",
        pad_token="<pad>",
    )
    with pytest.raises(UsageError, match="does not tokenise word by word"):
        WordTable(tokenizer, "subword")
