"""Sentences split by hand, by the rules of the Penn Treebank as NLTK applies them."""

from __future__ import annotations

import pytest

from robench.text.words import split_words

# Text -> its words, written with one blank between them.
CASES = {
    "It wasn't good, it's GREAT!": "It was n't good , it 's GREAT !",
    "I cannot say I'm gonna re-watch it.": "I can not say I 'm gon na re-watch it .",
    'He said "no" twice.': "He said `` no '' twice .",
    "I gave it 10/10 (really)... It's No. 1; $3.50 well spent": (
        "I gave it 10/10 ( really ) ... It 's No . 1 ; $ 3.50 well spent"
    ),
    "Mrs. Brown met Dr. Jones. They left.": "Mrs. Brown met Dr. Jones . They left .",
    "Good,bad and--worse": "Good , bad and -- worse",
    "The U.S. version is worse than e.g. the old one.": (
        "The U.S. version is worse than e.g. the old one ."
    ),
    "[MASK] <s> </s>": "[ MASK ] < s > < /s >",
    "Ein naïver Film – «gut»": "Ein naïver Film – « gut »",
}


@pytest.mark.parametrize("text", CASES)
def test_a_sentence_splits_as_by_hand(text: str) -> None:
    assert split_words(text) == CASES[text].split()
