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

In log-odds, drops are shares of the clean text's, ln 7.2 = 1.9741, whatever multiplies the logits:

    position   saliency, ln(factor) / ln 7.2   softmax   best substitute, drop         product
    a          .6931 / 1.9741 = .3511          .3234     a1 (ln 2 / 1.9741 = .3511)    .1136
    b          1.0986 / 1.9741 = .5565         .3971     b1 (ln 2.5 / 1.9741 = .4642)  .1843
    c          .4055 / 1.9741 = .2054          .2795     c1 (ln 2.5424 / … = .4727)    .1321

The order is b, c, a again.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pytest

from robench import ATTACKS, SearchSpace, build_options

FACTORS = {"a": 2.0, "b": 3.0, "c": 1.5, "?": 1.0, "a1": 1.0, "a2": 1.5, "b1": 1.2, "c1": 0.59}
SPACE = SearchSpace(("a", "b", "c"), (("a", "a2", "a1"), ("b", "b1"), ("c", "c1")), 3)


class HandOracle:
    """Answers from the table above and notes the queries."""

    def __init__(self, odds: float = 0.8, scale: float = 1.0) -> None:
        self.odds, self.scale = odds, scale
        self.choices: list[list[list[int]]] = []
        self.without: list[list[int]] = []

    def _logits(self, texts: list[list[str]]) -> np.ndarray:
        odds = np.array([self.odds * np.prod([FACTORS[word] for word in text]) for text in texts])
        logits = self.scale * np.stack([np.log(odds), np.zeros(len(odds))], axis=1)
        return np.asarray(logits, dtype=np.float32)

    def logits(self, choices: np.ndarray) -> np.ndarray:
        self.choices.append(choices.tolist())
        return self._logits([list(SPACE.text(choice)) for choice in choices])

    def logits_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        assert not choice.any()
        self.without.append(positions.tolist())
        return self._logits(
            [
                ["?" if index == position else word for index, word in enumerate(SPACE.words)]
                for position in positions.tolist()
            ]
        )

    probs = probs_without = None


Scores = Literal["log-odds", "probabilities"]
BOTH = pytest.mark.parametrize("scores", get_args(Scores))


def search(oracle: HandOracle, scores: Scores = "log-odds") -> list[int] | None:
    cls = ATTACKS.get("pwws")
    attack = cls(build_options(cls.Options, {"scores": scores}, "attack 'pwws'"))
    found = attack.search(SPACE, oracle, 0, np.random.default_rng(0))  # type: ignore[arg-type]
    return None if found is None else found.tolist()


@BOTH
def test_every_query_and_the_text_found_are_as_computed_by_hand(scores: Scores) -> None:
    oracle = HandOracle()
    assert search(oracle, scores) == [2, 1, 1]
    original, substitutes, walk = oracle.choices
    assert original == [[0, 0, 0]]
    assert oracle.without == [[0, 1, 2]]
    assert substitutes == [[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert walk == [[0, 1, 0], [0, 1, 1], [2, 1, 1]]


@pytest.mark.parametrize("scale", [1e-6, 0.1, 3, 30, 1000])
def test_the_scale_of_the_logits_changes_no_query(scale: float) -> None:
    plain, scaled = HandOracle(), HandOracle(scale=scale)
    assert search(scaled) == search(plain) == [2, 1, 1]
    assert scaled.choices == plain.choices


def test_published_scores_are_blind_where_probabilities_round_to_one() -> None:
    """All saliencies and drops are 0 at this scale, so the positions keep the text's order."""
    oracle = HandOracle(scale=1000)
    search(oracle, "probabilities")
    # Of equal drops the first option is taken, and a2 is the first at position a.
    assert oracle.choices[2] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


@BOTH
@pytest.mark.parametrize(
    ("odds", "found"), [(0.27, [0, 1, 0]), (0.7, [0, 1, 1]), (0.8, [2, 1, 1]), (1.5, None)]
)
def test_the_walk_stops_at_the_first_change_of_the_prediction(
    scores: Scores, odds: float, found: list[int] | None
) -> None:
    """Other odds than 0.8 move the change of the prediction; the order stays b, c, a.

    The odds become 3.6 x ``odds`` with b changed, 1.416 x with b and c, 0.708 x with all three.

    In log-odds a text nearer to the border has larger shares, so the saliency counts more. With
    0.27 (ln 2.43 = .8879) the saliencies are .7807, 1.2373 and .4567. Their exponentials times the
    drops .7807, 1.0320 and 1.0509 are 1.7041, 3.5569 and 1.6594: the order is b, a, c.
    """
    oracle = HandOracle(odds)
    assert search(oracle, scores) == found
    swapped = scores == "log-odds" and odds == 0.27
    second = [2, 1, 0] if swapped else [0, 1, 1]
    assert oracle.choices[2] == [[0, 1, 0], second, [2, 1, 1]]


@BOTH
def test_a_substitute_that_helps_the_victim_is_applied_too(
    scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do the paper's pseudo-code and the release: a negative score comes last, but it counts."""
    monkeypatch.setitem(FACTORS, "a1", 2.5)
    monkeypatch.setitem(FACTORS, "a2", 2.2)
    oracle = HandOracle()
    assert search(oracle, scores) is None
    assert oracle.choices[2] == [[0, 1, 0], [0, 1, 1], [1, 1, 1]]
