"""Measure how well words without their order predict the labels of the composed reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from .compose import Review
from .render import words_of

Floats = NDArray[np.float64]
PENALTY = 1.0
"""L2 penalty of the logistic regression, on the sum of losses (scikit-learn's default C = 1)."""


@dataclass(frozen=True)
class Bag:
    """A split as bags of words.

    Attributes:
        presence: ``(reviews, words)``, whether a review contains a word of the training vocabulary.
        labels: ``(reviews,)`` in {0, 1}.
    """

    presence: sparse.csr_array
    labels: Floats


def bags(splits: Mapping[str, Sequence[Review]]) -> tuple[list[str], dict[str, Bag]]:
    """Return the sorted words of train, and every split as a bag over them."""
    vocabulary = sorted({word for review in splits["train"] for word in words_of(review.text)})
    index = {word: column for column, word in enumerate(vocabulary)}
    found: dict[str, Bag] = {}
    for name, reviews in splits.items():
        cells = []
        for row, review in enumerate(reviews):
            known = [word for word in set(words_of(review.text)) if word in index]
            cells += [(row, index[word]) for word in known]
        rows, columns = zip(*cells, strict=True)
        presence = sparse.csr_array(
            (np.ones(len(cells)), (rows, columns)), shape=(len(reviews), len(vocabulary))
        )
        found[name] = Bag(
            presence, np.array([review.label for review in reviews], dtype=np.float64)
        )
    return vocabulary, found


def fit(bag: Bag) -> Floats:
    """Fit an L2-penalised logistic regression; the intercept, not penalised, is the last weight."""
    signs = 2 * bag.labels - 1

    def loss(weights: Floats) -> tuple[float, Floats]:
        margins = signs * (bag.presence @ weights[:-1] + weights[-1])
        pull = -signs / (1 + np.exp(margins))
        gradient = np.append(bag.presence.T @ pull + PENALTY * weights[:-1], pull.sum())
        penalty = PENALTY / 2 * weights[:-1] @ weights[:-1]
        return float(np.logaddexp(0, -margins).sum() + penalty), gradient

    start = np.zeros(bag.presence.shape[1] + 1)
    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x)


def accuracy(bag: Bag, weights: Floats) -> float:
    """Return the share of reviews that are classified correctly."""
    return float(np.mean((bag.presence @ weights[:-1] + weights[-1] > 0) == (bag.labels > 0.5)))


def few_words(train: Bag, test: Bag, count: int) -> float:
    """Return the test accuracy of the regression on only ``count`` words.

    These are the words of train that have the largest mutual information with the label.
    """
    best = np.argsort(-information(train), kind="stable")[:count]
    narrow = Bag(train.presence[:, best], train.labels)
    return accuracy(Bag(test.presence[:, best], test.labels), fit(narrow))


def information(bag: Bag) -> Floats:
    """Return ``(words,)`` mutual information of each word's presence and the label, in nats."""
    total = len(bag.labels)
    result = np.zeros(bag.presence.shape[1])
    with_word = np.asarray(bag.presence.sum(axis=0)).ravel()
    for label in (0.0, 1.0):
        share = float(np.mean(bag.labels == label))
        joint = np.asarray(bag.presence[bag.labels == label].sum(axis=0)).ravel()
        for both, marginal in ((joint, with_word), (share * total - joint, total - with_word)):
            ratio = np.divide(
                both * total,
                share * total * marginal,
                out=np.ones_like(both),
                where=(both > 0) & (marginal > 0),
            )
            result += both / total * np.log(ratio)
    return result
