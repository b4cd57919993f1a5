"""Labels are matched by name, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest

from robench._base.errors import UsageError
from robench.models.given.labels import match_labels

SENTIMENT = ("negative", "positive")
NLI = ("entailment", "neutral", "contradiction")


def match(
    model: Sequence[str],
    task: Sequence[str] = SENTIMENT,
    label_map: Mapping[str, str] | None = None,
) -> tuple[int, ...]:
    return match_labels("mine", model, task, label_map or {})


@pytest.mark.parametrize(
    ("model", "task", "order"),
    [
        (("negative", "positive"), SENTIMENT, (0, 1)),
        (("POSITIVE", "NEGATIVE"), SENTIMENT, (1, 0)),
        (("Contradiction", "entailment", "NEUTRAL"), NLI, (1, 2, 0)),
        (("Very-Good", "very bad"), ("very_bad", "very good"), (1, 0)),
        ((" not  entailment ", "entailment"), ("entailment", "not_entailment"), (1, 0)),
        # Names that differ only in what is otherwise the same.
        (("a-b", "a_b"), ("a-b", "a_b"), (0, 1)),
        (("a_b", "a-b"), ("a-b", "a_b"), (1, 0)),
        (("A B", "a_b"), ("a-b", "a_b"), (0, 1)),
        (("It", "IT", "it"), ("it", "It", "IT"), (2, 0, 1)),
    ],
)
def test_names_decide_and_not_places(
    model: Sequence[str], task: Sequence[str], order: tuple[int, ...]
) -> None:
    assert match(model, task) == order


def test_a_map_names_other_labels() -> None:
    both = {"LABEL_0": "positive", "label-1": "Negative"}
    assert match(("LABEL_0", "LABEL_1"), label_map=both) == (1, 0)
    # The map names labels in their exact spelling first.
    assert match(("x-y", "x_y"), ("a_b", "a-b"), {"x_y": "a_b", "x-y": "a-b"}) == (1, 0)
    # One entry is enough where the other name matches.
    assert match(("positive", "NEG"), label_map={"NEG": "negative"}) == (1, 0)


@pytest.mark.parametrize(
    ("model", "label_map", "sentence"),
    [
        (
            ("LABEL_0", "LABEL_1"),
            {},
            "No label of the task is called 'LABEL_0', 'LABEL_1' as in 'mine', and robench "
            "does not guess. The model has 'LABEL_0', 'LABEL_1'; the task has 'negative', "
            "'positive'. Say what each means, with the task's names for the question marks: "
            "--label-map LABEL_0=? --label-map LABEL_1=?",
        ),
        (
            ("NEG", "positive"),
            {},
            "No label of the task is called 'NEG' as in 'mine', and robench does not guess. "
            "The model has 'NEG', 'positive'; the task has 'negative', 'positive'. "
            "Say what each means, with the task's names for the question marks: --label-map NEG=?",
        ),
        (
            ("negative", "neutral", "positive"),
            {},
            "The labels of 'mine' do not match the task: 3 labels against 2. The model has "
            "'negative', 'neutral', 'positive'; the task has 'negative', 'positive'.",
        ),
        (
            ("Negative", "NEG"),
            {"NEG": "negative"},
            "Two labels of 'mine', 'Negative' and 'NEG', mean 'negative'. The model has "
            "'Negative', 'NEG'; the task has 'negative', 'positive'. Correct --label-map.",
        ),
        (
            ("NEG", "POS"),
            {"LABEL_0": "negative"},
            "--label-map LABEL_0=negative: 'mine' has no label 'LABEL_0'. The model has "
            "'NEG', 'POS'; the task has 'negative', 'positive'.",
        ),
        (
            ("NEG", "POS"),
            {"NEG": "bad"},
            "--label-map NEG=bad: the task has no label 'bad'. The model has 'NEG', 'POS'; "
            "the task has 'negative', 'positive'.",
        ),
        (
            ("not so good", "POS"),
            {"POS": "positive"},
            "No label of the task is called 'not so good' as in 'mine', and robench does not "
            "guess. The model has 'not so good', 'POS'; the task has 'negative', 'positive'. "
            "Say what each means, with the task's names for the question marks: "
            '--label-map "not so good=?"',
        ),
        (
            ("a-b", "a_b"),
            {"A B": "positive"},
            "--label-map A B=positive: 'mine' has several labels like 'A B'. The model has "
            "'a-b', 'a_b'; the task has 'negative', 'positive'.",
        ),
    ],
)
def test_whatever_does_not_match_is_refused_with_both_lists(
    model: Sequence[str], label_map: Mapping[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}$"):
        match(model, label_map=label_map)


def test_a_name_that_fits_two_labels_is_not_guessed() -> None:
    with pytest.raises(UsageError, match=r"^No label of the task is called 'A B', 'c d' as in"):
        match(("A B", "c d"), ("a-b", "a_b"))
    with pytest.raises(UsageError, match=r"^--label-map x=A B: the task has several labels like"):
        match(("x", "a_b"), ("a-b", "a_b"), {"x": "A B"})
