"""Rows that differ from one text in few words are made by changing it; they are the same rows."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_cases import whole_word_tokenizer

from robench.text import candidates as module
from robench.text.candidates import CandidateEncoder
from robench.text.encoding import FieldEncoder
from robench.text.space import SearchSpace
from robench.text.word_table import WordTable

WORDS = [f"w{number}" for number in range(40)]


@cache
def word_table() -> WordTable:
    """Return the table of a tokenizer that knows ``WORDS``."""
    with tempfile.TemporaryDirectory() as folder:
        return WordTable(whole_word_tokenizer(Path(folder), ["a", *WORDS]), "word")


def encoder_of(words: int, window: int) -> tuple[CandidateEncoder, SearchSpace]:
    """Return the encoder of a text of ``words`` words with two substitutes each."""
    fields = FieldEncoder(word_table(), ["text"], "text", window, segments=False)
    text = [WORDS[number % 20] for number in range(words)]
    visible = fields.encode({"text": text}).visible
    options = tuple(
        (word, WORDS[20 + index % 20], "unknown") if index < visible else (word,)
        for index, word in enumerate(text)
    )
    space = SearchSpace(tuple(text), options, visible)
    return fields.candidates({"text": text}, space), space


def some_choices(space: SearchSpace, rows: int, changes: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    choices = np.zeros((rows, len(space.words)), dtype=np.int16)
    for row in choices:
        places = random.integers(0, len(space.words), size=changes)
        row[places] = random.integers(0, space.sizes[places])
    return choices


@pytest.mark.parametrize("window", [30, 90])
@pytest.mark.parametrize("changes", [0, 1, 2, 40])
def test_a_query_of_many_rows_gives_the_rows_of_single_queries(window: int, changes: int) -> None:
    encoder, space = encoder_of(60, window)
    choices = some_choices(space, 100, changes, seed=changes)
    assert choices[:, : window - 2].size >= 1000
    ids, lengths = encoder.encode(choices)
    for choice, row, length in zip(choices, ids, lengths, strict=True):
        (alone,), (own,) = encoder.encode(choice[None])
        assert row.tolist() == alone.tolist()
        assert length == own == len(row)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many rows are made by changing one."""
    seen: list[int] = []
    changed = CandidateEncoder._changed

    def noting(self: Any, options: Any, batch: int, *rest: Any) -> Any:
        seen.append(batch)
        return changed(self, options, batch, *rest)

    monkeypatch.setattr(CandidateEncoder, "_changed", noting)
    return seen


def test_only_large_queries_with_few_changes_are_made_by_changing(taken: list[int]) -> None:
    encoder, space = encoder_of(60, 90)
    encoder.encode(some_choices(space, 100, 1, seed=0))
    assert taken == [100]
    encoder.encode(some_choices(space, 100, 50, seed=0))
    encoder.encode(some_choices(space, 5, 1, seed=0))
    assert taken == [100]


@given(
    words=st.integers(1, 12),
    window=st.integers(4, 20),
    changes=st.integers(0, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_both_ways_give_the_same_rows(words: int, window: int, changes: int, seed: int) -> None:
    encoder, space = encoder_of(words, window)
    choices = some_choices(space, 7, changes, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", 10**9)
        plain = encoder.encode(choices)
        patch.setattr(module, "MANY", 0)
        patch.setattr(module, "SPARSE", 0)
        by_changing = encoder.encode(choices)
    for one, other in zip(plain, by_changing, strict=True):
        assert one.dtype == other.dtype == np.int32
        assert np.array_equal(one, other)
