"""PWWS on three words, computed by hand.

The odds of the true class are 0.8 times a factor for each word. The factors are a 2, b 3, c 1.5
(odds 7.2, p = .8780), the unknown token 1, and the substitutes a1 1, a2 1.5, b1 1.2, c1 0.59.

    position   saliency p - p(unknown)   softmax   best substitute, drop of p           product
    a          .8780 - .7826 = .0954     .3294     a1 (.0954; a2 .0343)                 .0314
    b          .8780 - .7059 = .1722     .3557     b1 (.1358)                           .0483
    c          .8780 - .8276 = .0505     .3149     c1 (.1390)                           .0438

So the order is b, c, a. By the drop alone c would come first; by the saliency alone a would be
second. The odds are 2.88 with b changed, 1.1328 with b and c, and 0.5664 with all three. Only the
last lies below 1.
"""

from __future__ import annotations

import numpy as np
import pytest

from robench import ATTACKS, SearchSpace

FACTORS = {"a": 2.0, "b": 3.0, "c": 1.5, "?": 1.0, "a1": 1.0, "a2": 1.5, "b1": 1.2, "c1": 0.59}
SPACE = SearchSpace(("a", "b", "c"), (("a", "a2", "a1"), ("b", "b1"), ("c", "c1")), 3)


class HandOracle:
    """Answers from the table above and notes the queries."""

    def __init__(self, odds: float = 0.8) -> None:
        self.odds = odds
        self.choices: list[list[list[int]]] = []
        self.without: list[list[int]] = []

    def _probs(self, texts: list[list[str]]) -> np.ndarray:
        odds = np.array([self.odds * np.prod([FACTORS[word] for word in text]) for text in texts])
        return np.stack([odds / (1 + odds), 1 / (1 + odds)], axis=1).astype(np.float32)

    def logits(self, choices: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(self.probs(choices)))

    def probs(self, choices: np.ndarray) -> np.ndarray:
        self.choices.append(choices.tolist())
        return self._probs([list(SPACE.text(choice)) for choice in choices])

    def probs_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        assert not choice.any()
        self.without.append(positions.tolist())
        return self._probs(
            [
                ["?" if index == position else word for index, word in enumerate(SPACE.words)]
                for position in positions.tolist()
            ]
        )


def search(oracle: HandOracle) -> list[int] | None:
    found = ATTACKS.get("pwws")().search(SPACE, oracle, 0, np.random.default_rng(0))
    return None if found is None else found.tolist()


def test_every_query_and_the_text_found_are_as_computed_by_hand() -> None:
    oracle = HandOracle()
    assert search(oracle) == [2, 1, 1]
    original, substitutes, walk = oracle.choices
    assert original == [[0, 0, 0]]
    assert oracle.without == [[0, 1, 2]]
    assert substitutes == [[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert walk == [[0, 1, 0], [0, 1, 1], [2, 1, 1]]


@pytest.mark.parametrize(
    ("odds", "found"), [(0.27, [0, 1, 0]), (0.7, [0, 1, 1]), (0.8, [2, 1, 1]), (1.5, None)]
)
def test_the_walk_stops_at_the_first_change_of_the_prediction(
    odds: float, found: list[int] | None
) -> None:
    """Other odds than 0.8 move the change of the prediction; the order stays b, c, a.

    The odds become 3.6 x ``odds`` with b changed, 1.416 x with b and c, 0.708 x with all three.
    """
    oracle = HandOracle(odds)
    assert search(oracle) == found
    assert oracle.choices[2] == [[0, 1, 0], [0, 1, 1], [2, 1, 1]]


def test_a_substitute_that_helps_the_victim_is_applied_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So do the paper's pseudo-code and the release: a negative score comes last, but it counts."""
    monkeypatch.setitem(FACTORS, "a1", 2.5)
    monkeypatch.setitem(FACTORS, "a2", 2.2)
    oracle = HandOracle()
    assert search(oracle) is None
    assert oracle.choices[2] == [[0, 1, 0], [0, 1, 1], [1, 1, 1]]
