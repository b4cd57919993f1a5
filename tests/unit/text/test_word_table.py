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
# SentencePiece itself writes a blank as U+2581, so a text with U+2581 is ambiguous to it.
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
def one_id_a_word(tokenizer: Any) -> WordTable:
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


def test_odd_words_in_one_text_keep_their_pieces(subwords: WordTable) -> None:
    words: list[str] = []
    for odd in ODD_WORDS:
        words += [odd, "film"]
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
def test_the_memory_for_words_is_limited(
    tokenizer: Any, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers do not depend on the words that were dropped from memory."""
    monkeypatch.setattr(word_table, "MEMORY_LIMIT", 40)
    table = WordTable(tokenizer, mode)
    texts = [[f"film{number}{letter}" for letter in "abcdefghij"] for number in range(12)]
    found = [table.text_ids(text) for text in texts]
    assert len(table._inner) <= 40
    assert len(table._first) <= 40
    assert [table.text_ids(text) for text in texts] == found
    monkeypatch.setattr(word_table, "MEMORY_LIMIT", 2**19)
    assert [WordTable(tokenizer, mode).text_ids(text) for text in texts] == found


def test_a_batch_gives_the_same_ids_as_single_words(tokenizer: Any) -> None:
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
    # Three tokenised words: zebra as the first word, crossing, and zebra inside the text.
    assert sum(len(texts) for texts in calls) == 3


# One token a word


@given(TEXTS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_word_mode_gives_every_word_one_id(one_id_a_word: WordTable, words: list[str]) -> None:
    for position, word in enumerate(words):
        ids = one_id_a_word.ids(word, first=position == 0)
        assert len(ids) == 1
        assert ids == one_id_a_word.ids(word)


def test_a_word_is_one_vocabulary_entry_or_unknown(tmp_path: Path) -> None:
    tokenizer = whole_word_tokenizer(tmp_path, ["good", "n't", "do", "##n", "a"])
    table = WordTable(tokenizer, "word")
    assert table.ids("good") == (5,)
    # The tokenizer lower-cases.
    assert table.ids("GOOD") == (5,)
    # This entry counts, although the tokenizer would split the word.
    assert table.ids("n't") == (6,)
    # "do" and "##n" are two entries.
    assert table.ids("don") == (table.unknown_id,)
    # A text cannot contain a special token.
    assert table.ids("[MASK]") == (table.unknown_id,)
    assert WordTable(tokenizer, "subword").ids("don") == (7, 8)


def test_a_cased_wordpiece_keeps_case(tmp_path: Path) -> None:
    table = WordTable(make_tokenizer("wordpiece-cased", tmp_path), "word")
    assert table.ids("film") != (table.unknown_id,)
    assert table.ids("FILM") == (table.unknown_id,)


@pytest.mark.parametrize("family", ["bytelevel", "bytelevel-prefix", "unigram"])
def test_the_first_piece_that_is_more_than_the_mark_is_taken(family: str, tmp_path: Path) -> None:
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

    letters = "abcdefghijklmnopqrstuvwxyz'T-`/0123456789!Zï "
    pieces = {piece: number for number, piece in enumerate(["<unk>", "<pad>", *letters])}
    # There is no pre-tokenizer, so the merge "a f" crosses the blank.
    pieces |= {" f": len(pieces), "a f": len(pieces) + 1}
    merges = [(" ", "f"), ("a", " f")]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocab=pieces, merges=merges, unk_token="<unk>")),
        unk_token="<unk>",
        pad_token="<pad>",
    )
    with pytest.raises(UsageError, match="does not tokenise word by word"):
        WordTable(tokenizer, "subword")
