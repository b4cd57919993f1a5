"""Nearest neighbours of embeddings, on vectors that are chosen by hand and on ``tiny``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_cases import whole_word_tokenizer

from robench.evaluation.substitution_sources import SetFinder
from robench.text.embedding_neighbours import BOUND, COUNT, Neighbours, whole_words

WORDS = ("good", "fine", "nice", "bad", "film")


def vocabulary(folder: Path) -> Any:
    return whole_word_tokenizer(folder, [*WORDS, "##ly", "the", "x", "10"])


def neighbours(folder: Path, vectors: dict[str, list[float]]) -> Neighbours:
    tokenizer = vocabulary(folder)
    table = np.zeros((len(tokenizer), 2), np.float32)
    for word, vector in vectors.items():
        table[tokenizer.get_vocab()[word]] = vector
    return Neighbours(table, tokenizer)


def test_only_whole_content_words_count(tmp_path: Path) -> None:
    tokenizer = vocabulary(tmp_path)
    assert sorted(whole_words(tokenizer, len(tokenizer))) == sorted(WORDS)
    first = min(tokenizer.get_vocab()[word] for word in WORDS)
    assert list(whole_words(tokenizer, first + 1).values()) == [first]


def test_the_nearest_come_first_and_the_far_are_left_out(tmp_path: Path) -> None:
    # The mean of the five vectors is zero, so their angles stay as they are.
    found = neighbours(
        tmp_path,
        {"good": [4, 0], "fine": [4, 1], "nice": [3, 3], "bad": [-5, -2], "film": [-6, -2]},
    )
    assert found["good"] == ("fine", "nice")
    assert found["film"] == ("bad",)
    assert "fine" in found["nice"]
    with pytest.raises(KeyError):
        found["unheard"]
    assert len(found) == 5


@pytest.mark.slow
def test_the_neighbours_of_tiny() -> None:
    found = SetFinder(None, "tiny", "none", "cpu").find("embeddings", "", [])
    assert found.name == "embeddings of tiny"
    near = found.of_text(("movie", "the", "zxqv"), "cased", 3)
    assert list(near) == [0]
    assert "film" in near[0]
    assert len(near[0]) <= COUNT
    assert 0 < BOUND < 1
