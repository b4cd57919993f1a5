"""The finding ``class-ignored``: a class that a victim hardly ever predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from robench.models.health_checks import RedFlag, check_victim, examples_to_check
from robench.tasks.example import Example


class Told:
    """A victim that answers the number that each text holds."""

    kind = "given"

    def __init__(self, labels: Sequence[str]) -> None:
        self.name, self.labels = "told", tuple(labels)

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        answers = np.full((len(texts), len(self.labels)), 0.1 / (len(self.labels) - 1), np.float32)
        answers[range(len(texts)), [int(text["text"]) for text in texts]] = 0.9
        return answers


def flags(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[RedFlag]:
    """Check a victim that gives ``counts[label][answer]`` examples of a label this answer."""
    pairs = [
        (label, answer)
        for label, row in enumerate(counts)
        for answer, count in enumerate(row)
        for _ in range(count)
    ]
    examples = [
        Example(f"t/{number}", {"text": str(answer)}, label)
        for number, (label, answer) in enumerate(pairs)
    ]
    return check_victim(cast(Any, Told(labels)), examples)


NLI = ("entailment", "neutral", "contradiction")


def test_a_class_that_is_hardly_ever_predicted_is_named() -> None:
    """These shares are those of an SNLI victim that the paper's rule kept on 200 dev examples."""
    (flag,) = [
        flag
        for flag in flags(NLI, [[61, 1, 5], [58, 3, 6], [54, 2, 10]])
        if flag.name == "class-ignored"
    ]
    assert flag.message == (
        "'told' hardly ever predicts a class: of 200 dev examples 'neutral' for 6, and finds 3 of "
        "its 67."
    )


@pytest.mark.parametrize(
    ("predicted", "found"),
    [(0, True), (9, True), (10, False), (20, False), (67, False)],
)
def test_the_bound_leaves_room_for_chance(predicted: int, found: bool) -> None:
    """A class with a third of 200 examples must be predicted for at least ten of them."""
    rest = 67 - predicted
    counts = [[67, 0, 0], [rest // 2, predicted, rest - rest // 2], [0, 0, 66]]
    assert [flag.name for flag in flags(NLI, counts)] == ["class-ignored"] * found


def test_two_ignored_classes_make_one_finding() -> None:
    names = ("a", "b", "c", "d")
    (flag,) = [
        flag
        for flag in flags(names, [[48, 0, 1, 1], [0, 50, 0, 0], [25, 25, 0, 0], [25, 25, 0, 0]])
        if flag.name == "class-ignored"
    ]
    assert "'c' for 1, and finds 0 of its 50; 'd' for 1, and finds 0 of its 50." in flag.message


def test_swapped_labels_and_a_constant_answer_have_findings_of_their_own() -> None:
    two = ("negative", "positive")
    assert [flag.name for flag in flags(two, [[0, 100], [100, 0]])] == ["swapped"]
    assert [flag.name for flag in flags(two, [[100, 0], [100, 0]])] == ["chance", "one-class"]


def test_a_rare_class_in_few_examples_is_no_finding() -> None:
    """Nothing can be said of a class with 3 of 40 examples."""
    assert flags(NLI, [[18, 0, 0], [0, 19, 0], [3, 0, 0]]) == []


@pytest.mark.parametrize(("classes", "examples"), [(2, 200), (3, 200), (5, 200), (20, 800)])
def test_more_classes_need_more_examples(classes: int, examples: int) -> None:
    """With so many examples a class that is never predicted is found at any number of classes."""
    assert examples_to_check(classes) == examples
    each = examples // classes
    names = [f"class {number}" for number in range(classes)]
    counts = [
        [each if answer == (label or 1) else 0 for answer in range(classes)]
        for label in range(classes)
    ]
    found = {flag.name for flag in flags(names, counts)}
    assert found == ({"chance", "one-class"} if classes == 2 else {"class-ignored"})
