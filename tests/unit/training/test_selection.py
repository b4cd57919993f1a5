"""Dev scores: what counts as guessing, and how epochs are ranked."""

from __future__ import annotations

from math import sqrt
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robench.models.health_checks import guessing_accuracy
from robench.training.data import EncodedExamples
from robench.training.selection import DevScores, compute_features, score_on_dev


class Echo(nn.Module):
    """Answers with the class that each text's second token names, modulo ``classes``."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.feature_size = 2

    def features(self, ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        return ids.float()

    def classify(self, features: Tensor) -> Tensor:
        return torch.eye(self.classes)[features[:, 1].long() % self.classes]


class Padless(Echo):
    """Its features leave out padding."""

    def features(self, ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        return ids[:, :2].float()


def encoded(tokens: list[int], labels: list[int]) -> EncodedExamples:
    ids = [np.array([1, token], dtype=np.int32) for token in tokens]
    return EncodedExamples(
        ids,
        None,
        [np.zeros(2, dtype=np.int32) for _ in ids],
        np.array(labels),
        cast("Any", None),
        0,
    )


def scores(tokens: list[int], labels: list[int], classes: int = 2) -> DevScores:
    return score_on_dev(
        cast("Any", Echo(classes)), encoded(tokens, labels), 4, "cpu", hull=False, seed=0
    )


def test_features_are_in_the_order_of_the_examples() -> None:
    """Batches are sorted by length; the result is not."""
    examples = encoded([7, 8, 9, 5, 6], [0, 1, 0, 1, 0])
    examples.ids[0].resize(3, refcheck=False)  # the longest one comes first
    found = compute_features(cast("Any", Padless(2)), examples, 2, "cpu")
    assert found[:, 1].tolist() == [7, 8, 9, 5, 6]
    kept = score_on_dev(cast("Any", Padless(2)), examples, 2, "cpu", hull=False, seed=0).features
    assert kept is not None
    assert torch.equal(kept, found)


def test_the_accuracy_of_a_guess_and_its_margin() -> None:
    share, lucky = guessing_accuracy(np.array([0] * 34 + [1] * 33 + [2] * 33))
    assert share == 0.34
    assert lucky == pytest.approx(0.34 + 2 * sqrt(0.34 * 0.66 / 100))


def test_one_answer_for_all_texts_is_guessing() -> None:
    assert scores([2, 4, 6, 8] * 8, [0, 1] * 16) == DevScores(0.5, None, guessing=True)


def test_one_lucky_answer_more_is_still_guessing() -> None:
    tokens = [2] * 31 + [3]  # one text gets another answer, and the right one
    assert scores(tokens, [0, 1] * 16) == DevScores(17 / 32, None, guessing=True)


def test_clearly_better_than_a_guess_is_not_guessing() -> None:
    labels = [0, 1] * 16
    tokens = [label + 2 for label in labels]
    tokens[:6] = [3 - label for label in labels[:6]]
    assert scores(tokens, labels) == DevScores(26 / 32, None, guessing=False)


def test_in_an_imbalanced_dev_split_the_larger_class_is_the_guess() -> None:
    assert scores([2] * 32, [0] * 28 + [1] * 4) == DevScores(28 / 32, None, guessing=True)


@pytest.mark.parametrize("learnt", [DevScores(0.6, 0.0), DevScores(0.4, 0.1)])
def test_a_guess_ranks_below_everything_learnt(learnt: DevScores) -> None:
    """A standard victim on SNLI shows why the rule is needed.

    It had 34 % clean and 33 % under attack after one epoch, then 49 % and 13 % after two.
    """
    assert learnt.rank > DevScores(0.5, 0.5, guessing=True).rank


def test_accuracy_under_attack_ranks_before_clean_accuracy() -> None:
    assert DevScores(0.7, 0.4).rank > DevScores(0.9, 0.3).rank
    assert DevScores(0.7, 0.4).rank < DevScores(0.8, 0.4).rank
    assert DevScores(0.8, None).rank > DevScores(0.7, None).rank
