"""The columns of the user's data: named, guessed aloud, or refused."""

from __future__ import annotations

import pytest

from robench._base.errors import UsageError
from robench.tasks.columns import DataColumns
from robench.tasks.own.choose import choose_columns


def choose(*names: str, **said: str) -> tuple[tuple[str, ...], str, str]:
    chosen = choose_columns("x.csv", names, DataColumns(**said))  # type: ignore[arg-type]
    return chosen.texts, chosen.label, chosen.attack


@pytest.mark.parametrize(
    ("names", "texts", "label", "attack"),
    [
        (("text", "label"), ("text",), "label", "text"),
        (("label", "sentence"), ("sentence",), "label", "sentence"),
        (("", "Review Text", "Sentiment", "id"), ("Review Text",), "Sentiment", "Review Text"),
        (("premise", "hypothesis", "label"), ("premise", "hypothesis"), "label", "hypothesis"),
        (("id", "sentence1", "sentence2", "gold_label"), ("sentence1", "sentence2"), "gold_label",
         "sentence2"),
        (("index", "question", "sentence", "label"), ("question", "sentence"), "label", "sentence"),
        (("question1", "question2", "is_duplicate"), ("question1", "question2"), "is_duplicate",
         "question2"),
        (("text", "text_pair", "label"), ("text", "text_pair"), "label", "text_pair"),
        (("post", "label"), ("post",), "label", "post"),
    ],
)  # fmt: skip
def test_usual_names_are_guessed(
    names: tuple[str, ...], texts: tuple[str, ...], label: str, attack: str
) -> None:
    assert choose(*names) == (texts, label, attack)


def test_a_guess_is_told_with_the_option_that_changes_it() -> None:
    told = choose_columns("x.csv", ["text", "label"], DataColumns()).remarks
    assert told == (
        "Columns of x.csv that are used, by their names: the text: 'text'; the label: 'label'. "
        "Choose others with --text-column and --label-column.",
    )
    told = choose_columns("x.csv", ["premise", "hypothesis", "y"], DataColumns(label="y")).remarks
    assert told == (
        "Columns of x.csv that are used, by their names: the texts: 'premise' and 'hypothesis'. "
        "Choose others with --text-column and --pair-column.",
        "The words of 'hypothesis' may be replaced, and those of 'premise' may not. "
        "--attack-column changes this.",
    )
    assert choose_columns("x.csv", ["a", "b"], DataColumns(text="a", label="b")).remarks == ()


def test_what_the_user_names_is_used() -> None:
    assert choose("a", "b", "c", text="a", pair="b", label="c") == (("a", "b"), "c", "b")
    assert choose("a", "b", "c", text="a", pair="b", label="c", attack="a")[2] == "a"
    assert choose("text", "Body", "label", text="body")[0] == ("Body",)
    # With two columns, the one that is left is the label.
    assert choose("post", "verdict", text="post")[1] == "verdict"
    # A named text is one text, whatever else looks like a pair.
    assert choose("premise", "hypothesis", "label", text="hypothesis")[0] == ("hypothesis",)


@pytest.mark.parametrize(
    ("names", "said", "sentence"),
    [
        (("text", "review", "label"), {}, "Several columns of x.csv can be the text: text, review"),
        (("text", "label", "category"), {}, "can be the label: label, category. .*--label-column"),
        (("premise", "hypothesis", "text", "label"), {}, "Several .* premise, hypothesis, text"),
        (("a", "b", "label"), {}, r"No column of x.csv looks like the text. It has: 'a', 'b'"),
        (("text", "a", "b"), {}, r"looks like the label. It has: 'text', 'a', 'b'"),
        (("text", "label"), {"text": "body"}, "--text-column body: x.csv has no such column"),
        (("text", "label"), {"label": "lable"}, "--label-column lable: .* Did you mean 'label'"),
        (("text", "label"), {"pair": "text"}, "Name the first one with --text-column"),
        (("text", "label"), {"text": "label", "label": "label"}, "must differ"),
        (("text", "label"), {"attack": "label"}, "--attack-column label is no text of x.csv"),
        (("0", "A dull film."), {}, "The first line looks like data"),
        (("A dull film.", "neg"), {}, "The first line looks like data"),
        (("A film that nobody will ever want to see.", "negative"), {}, "add a line of names"),
        (("A film that nobody will ever want to see.", "b"), {"text": "text"}, "add a line of"),
    ],
)
def test_no_answer_or_several_are_refused(
    names: tuple[str, ...], said: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        choose(*names, **said)


def test_many_columns_are_not_all_listed() -> None:
    with pytest.raises(UsageError, match=r"'c11' and 8 more\."):
        choose(*(f"c{n}" for n in range(20)))
