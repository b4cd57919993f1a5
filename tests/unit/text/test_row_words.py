"""Which tokens of a row are words of the attackable field, by the words that made the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from text_cases import FAMILIES, make_tokenizer

from robench.text.encoding import FieldEncoder
from robench.text.row_words import OUTSIDE, RowWords
from robench.text.word_table import Mode, WordTable

WORDS = ("A", "man", "plays", "the", "guitar", "while", "women", "sleep", "wonderfully", ".")
CONTEXT = ("Nobody", "knew", "why", "the", "director", "had", "left")


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {family: make_tokenizer(family, tmp_path_factory.mktemp(family)) for family in FAMILIES}


def encoder(
    made: Any, mode: Mode, fields: tuple[str, ...], attackable: str, segments: bool = False
) -> FieldEncoder:
    return FieldEncoder(WordTable(made, mode), fields, attackable, 60, segments)


def expected(fields: FieldEncoder, words: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Count the tokens of each word, which ``encode`` places."""
    encoded = fields.encode(words)
    numbers = np.full(len(encoded.ids), OUTSIDE)
    pieces = fields.table.text_ids(words[fields.attackable])
    for number, (start, ids) in enumerate(zip(encoded.word_starts, pieces, strict=False)):
        numbers[start : start + len(ids)] = number
    return numbers


@pytest.mark.parametrize("mode", ["word", "subword"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("attackable", ["text", "first", "second"])
def test_every_token_has_the_number_of_its_word(
    tokenizers: dict[str, Any], family: str, mode: Mode, segments: bool, attackable: str
) -> None:
    names = ("text",) if attackable == "text" else ("first", "second")
    fields = encoder(tokenizers[family], mode, names, attackable, segments)
    words = {name: WORDS if name == attackable else CONTEXT for name in names}
    ids = fields.encode(words).ids
    np.testing.assert_array_equal(RowWords(fields).number(ids), expected(fields, words))


def test_an_empty_context_shifts_nothing(tokenizers: dict[str, Any]) -> None:
    fields = encoder(tokenizers["wordpiece"], "word", ("first", "second"), "second")
    words: dict[str, Sequence[str]] = {"first": [], "second": WORDS}
    ids = fields.encode(words).ids
    np.testing.assert_array_equal(RowWords(fields).number(ids), expected(fields, words))


def test_a_text_without_words_has_none(tokenizers: dict[str, Any]) -> None:
    fields = encoder(tokenizers["wordpiece"], "word", ("text",), "text")
    numbers = RowWords(fields).number(fields.encode({"text": []}).ids)
    assert (numbers == OUTSIDE).all()


def test_the_unknown_token_is_a_word(tokenizers: dict[str, Any]) -> None:
    fields = encoder(tokenizers["wordpiece"], "word", ("text",), "text")
    ids = fields.encode({"text": ["film", "xqzvw", "film"]}).ids
    assert fields.table.unknown_id in ids
    assert RowWords(fields).number(ids).max() == 2
