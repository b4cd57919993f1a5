"""Splitting a text into words, and replacing words in a text."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.text import words as words_module
from robench.text.punkt import sentence_tokenizer
from robench.text.words import (
    join_words,
    place_words,
    replace_spans,
    replace_words,
    split_words,
    splitter_version,
    unsplit_words,
)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_words_are_never_empty_and_contain_no_white_space(text: str) -> None:
    for word in split_words(text):
        assert word.split() == [word]


def test_an_empty_text_has_no_words() -> None:
    assert split_words("") == []
    assert split_words(" \n\t ") == []


def test_joining_puts_one_blank_between_words() -> None:
    assert join_words(["It", "'s", "good", "."]) == "It 's good ."


def test_sentences_are_found_by_the_shipped_parameters() -> None:
    # Only the last period of a sentence is a word; inside a sentence NLTK leaves it at the word.
    assert split_words("It ended. Then I left.") == ["It", "ended", ".", "Then", "I", "left", "."]
    assert split_words("I met Mr. Smith.") == ["I", "met", "Mr.", "Smith", "."]


@pytest.mark.slow
def test_splitting_reads_no_nltk_data() -> None:
    code = (
        "import nltk.data, robench.text.words as w\n"
        "def refuse(*a, **k): raise AssertionError(f'NLTK data was asked for: {a}')\n"
        "nltk.data.find = nltk.data.load = refuse\n"
        "assert w.split_words('It ended. Good.') == ['It', 'ended', '.', 'Good', '.']"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={"PATH": "", "NLTK_DATA": "/nonexistent"},
        timeout=120,
    )


def test_the_version_names_nltk_and_the_parameters() -> None:
    from importlib.metadata import version

    assert splitter_version().startswith(f"nltk-{version('nltk')}+punkt-")
    assert splitter_version() == splitter_version()


@pytest.mark.parametrize(
    ("text", "replacements", "changed"),
    [
        ('He said "a good film", and left.', {4: "fine"}, 'He said "a fine film", and left.'),
        ("I don't like it.", {1: "would"}, "I wouldn't like it."),
        ("It cannot fail.", {1: "may"}, "It may not fail."),
        ("It cannot fail.", {2: "never"}, "It can never fail."),
        ("One  word,\ttwo words", {0: "A", 4: "terms"}, "A  word,\ttwo terms"),
        ("untouched", {}, "untouched"),
    ],
)
def test_replacing_words_leaves_the_other_characters_unchanged(
    text: str, replacements: dict[int, str], changed: str
) -> None:
    assert replace_words(text, replacements) == changed


@given(
    st.lists(
        st.sampled_from(
            [
                '"',
                "film",
                "'s",
                "n't",
                "``",
                "good",
                "Mr.",
                "end.",
                "(",
                ")",
                "--",
                "it",
                "U.S.",
                "10/10",
                "'",
            ]
        ),
        min_size=1,
        max_size=25,
    )
)
def test_a_text_with_one_replaced_word_splits_into_the_expected_words(
    parts: list[str],
) -> None:
    text = " ".join(parts)
    words = split_words(text)
    for index, word in enumerate(words):
        if word in ("film", "good"):
            assert split_words(replace_words(text, {index: "fine"})) == [
                *words[:index],
                "fine",
                *words[index + 1 :],
            ]


def test_changing_the_list_of_words_does_not_change_later_splits() -> None:
    words = split_words("A good film.")
    words.append("changed")
    assert split_words("A good film.") == ["A", "good", "film", "."]


def by_nltk(text: str) -> list[tuple[int, int]]:
    """Return where NLTK itself finds the words.

    Raises:
        ValueError: NLTK cannot align its words with the text.
    """
    sentences, words = sentence_tokenizer("embedded"), words_module._word_tokenizer()
    return [
        (begin + start, begin + end)
        for begin, stop in sentences.span_tokenize(text)
        for start, end in words.span_tokenize(text[begin:stop])
    ]


PIECES = [
    "film",
    "cannot",
    "gonna",
    "don't",
    "Mr.",
    "end.",
    "(",
    ")",
    '"',
    "''",
    "``",
    "--",
    "...",
    "$3.88",
    "a",
    "I",
    "é",
    "“",
    "”",
    "'",
    ",",
    "%",
    "#1",
]


@pytest.mark.parametrize("between", [" ", "", "  \n"])
@given(st.lists(st.sampled_from(PIECES), max_size=12))
@settings(max_examples=150, deadline=None)
def test_word_positions_equal_those_of_nltk(between: str, pieces: list[str]) -> None:
    text = between.join(pieces)
    try:
        expected = by_nltk(text)
    except ValueError:
        # NLTK cannot align its own words with some sequences of quotation marks.
        return
    assert words_module._word_spans(text) == expected


def test_word_positions_are_found_without_splitting_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "  A film, (not) good --\tit can't be.  The end. "
    split_words(text)
    expected = by_nltk(text)
    monkeypatch.setattr(words_module, "_word_tokenizer", lambda: pytest.fail("split again"))
    assert words_module._word_spans(text) == expected


def test_words_are_placed_where_they_stand() -> None:
    text = 'It cannot  be\n"good" .'
    words = split_words(text)
    placed, spans = place_words(text, words)
    assert placed == text
    assert [text[start:end] for start, end in spans] == [
        *("It", "can", "not", "be"),
        *('"', "good", '"', "."),
    ]
    # Words of another splitter, between which only white space lies.
    assert place_words("a-b  c.", ("a-b", "c.")) == ("a-b  c.", [(0, 3), (5, 7)])
    # Words that the text does not have.
    assert place_words("a b", ("x", "yz")) == ("x yz", [(0, 1), (2, 4)])
    assert place_words("", ()) == ("", [])


def test_spans_are_replaced_inside_a_part() -> None:
    text = "It cannot be good"
    _, spans = place_words(text, split_words(text))
    assert replace_spans(text, spans, {1: "may", 2: "never"}, 3, 9) == "may  never"
    assert replace_spans(text, spans, {}, 3, 9) == "cannot"
    assert replace_spans(text, spans, {4: "bad"}) == "It cannot be bad"


LETTERS = st.text(st.sampled_from("aeCNnotgimwhs"), min_size=1, max_size=8)
ANYTHING = st.text(st.sampled_from("aeN.'`-,$%&(?é²\x85 no"), min_size=1, max_size=6)
SPLIT = ["cannot", "gonna", "GOTTA", "Wanna", "gimme", "lemme", "d'ye", "'tis", "more'n", "U.S."]


@given(st.lists(LETTERS | ANYTHING | st.sampled_from(SPLIT), max_size=12))
@settings(max_examples=300, deadline=None)
def test_words_are_whole_together_as_each_is_alone(words: list[str]) -> None:
    assert unsplit_words(words) == {word for word in words if split_words(word) == [word]}


def test_no_word_is_looked_at_where_there_is_none() -> None:
    assert unsplit_words([]) == set()


def test_many_words_need_few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []
    plain = words_module._split_anew

    def counted(text: str, *others: object) -> tuple[str, ...]:
        split.append(text)
        return plain(text, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(words_module, "_split_anew", counted)
    words = [f"word{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10]}" for n in range(100)]
    assert unsplit_words([*words, "cannot"]) == set(words)
    # All together, then halves around the one word that the splitter takes apart.
    assert len(split) <= 1 + 2 * 7
