"""Alzantot's search in TextAttack's form, computed by hand: perturb, select, cross over.

The random draws are given by the test.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from robench import ATTACKS, SearchSpace
from robench.testing import Subject

# Position 1 cannot be changed, so genes stand for positions 0, 2 and 3.
SPACE = SearchSpace(
    tuple("axbc"), (("a", "a1", "a2"), ("x",), ("b", "b1"), ("c", "c1", "c2", "c3")), 4
)
MARGINS = {
    "a": 3.0,
    "a1": 2.0,
    "a2": 1.0,
    "x": 0.0,
    "b": 0.5,
    "b1": 2.5,
    "c": 1.0,
    "c1": 1.0,
    "c2": 0.25,
    "c3": 4.0,
}


class HandOracle:
    """Two classes; the log-odds are the margin, which is a sum over the words."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.queries: list[list[list[int]]] = []

    def logits(self, choices: np.ndarray) -> np.ndarray:
        self.queries.append(choices.tolist())
        margins = [
            sum(MARGINS[word] for word in SPACE.text(choice)) + self.offset for choice in choices
        ]
        return np.stack([margins, np.zeros(len(margins))], axis=1).astype(np.float32)

    probs = probs_without = None


class Dice:
    """A random stream with given draws; it notes the probabilities of every draw."""

    def __init__(self, *draws: Any, coins: Any = None) -> None:
        self.draws, self.coins = list(draws), coins
        self.odds: list[list[float]] = []

    def choice(self, of: int, size: Any = None, p: Any = None) -> Any:
        assert len(p) == of
        self.odds.append(np.round(p, 4).tolist())
        drawn = np.array(self.draws.pop(0))
        assert drawn.shape == (() if size is None else size)
        return drawn

    def random(self, size: tuple[int, int]) -> np.ndarray:
        assert size == np.shape(self.coins)
        return np.array(self.coins)


@pytest.fixture
def module() -> Any:
    ATTACKS.get("genetic-alzantot")
    return importlib.import_module("robench.attacks.genetic_alzantot")


def members(
    module: Any, genes: list[list[int]], weights: list[list[int]], odds: list[float]
) -> Any:
    return module.Members(np.array(genes, dtype=np.int16), np.array(weights), np.array(odds))


def test_perturb_tries_positions_until_a_substitute_lowers_the_odds(module: Any) -> None:
    both = members(module, [[0, 0, 0], [2, 0, 0]], [[2, 1, 3], [0, 1, 3]], [4.5, 2.5])
    oracle, dice = HandOracle(), Dice(1, 2, 0)
    module.perturb(both, SPACE, oracle, 0, dice)
    # First draw: member 0 tries b (b1 is worse), member 1 tries c (c2 lowers the odds).
    # Then member 0 alone draws among a and c, and a2 lowers its odds.
    assert oracle.queries == [
        [[0, 0, 1, 0], [2, 0, 0, 1], [2, 0, 0, 2], [2, 0, 0, 3]],
        [[1, 0, 0, 0], [2, 0, 0, 0]],
    ]
    assert dice.odds == [[0.3333, 0.1667, 0.5], [0.0, 0.25, 0.75], [0.4, 0.0, 0.6]]
    assert both.genes.tolist() == [[2, 0, 0], [2, 0, 2]]
    assert both.odds.tolist() == [2.5, 1.75]
    # A changed position is locked; one that was tried in vain is not.
    assert both.weights.tolist() == [[0, 1, 3], [0, 1, 0]]


def test_a_member_stays_as_it_is_if_no_substitute_lowers_its_odds(module: Any) -> None:
    best = members(module, [[2, 0, 2], [2, 0, 2]], [[0, 1, 0], [0, 0, 0]], [1.75, 1.75])
    oracle = HandOracle()
    module.perturb(best, SPACE, oracle, 0, Dice(1))
    assert oracle.queries == [[[2, 0, 1, 2]]]
    assert best.genes.tolist() == [[2, 0, 2]] * 2
    assert best.weights.tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("sign", "expected"), [(1, [0.1363, 0.6959, 0.1678]), (-1, [0.4981, 0.0975, 0.4044])]
)
def test_parents_are_drawn_by_the_softmax_of_one_minus_p(
    module: Any, sign: int, expected: list[float]
) -> None:
    # The log-odds 4.5, 0 and 2.535 give 1 - p_y = 0.01098694, 0.5 and 0.07343.
    # Divided by 0.3 and exponentiated these are 1.0373, 5.2945 and 1.2773.
    three = members(module, [[0, 0, 0]] * 3, [[2, 1, 3]] * 3, [4.5, 0.0, 2.535])
    assert three.parent_probabilities(0.3, sign, None) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 100.0])
@pytest.mark.parametrize(
    ("sign", "expected"), [(1, [0.0281, 0.7876, 0.1843]), (-1, [0.8416, 0.0300, 0.1283])]
)
def test_parents_are_drawn_by_the_share_of_the_log_odds_that_is_lost(
    module: Any, sign: int, expected: list[float], scale: float
) -> None:
    # Of the original 5, the members have lost 0, 1 and 0.5642. Divided by 0.3 and exponentiated
    # these are 1, 28.03 and 6.558.
    odds = [scale * 5.0, 0.0, scale * 2.179]
    three = members(module, [[0, 0, 0]] * 3, [[2, 1, 3]] * 3, odds)
    found = three.parent_probabilities(0.3, sign, scale * 5.0)
    assert found == pytest.approx(expected, abs=2e-4)


def test_a_child_takes_each_word_with_its_lock_from_either_parent(module: Any) -> None:
    attack: Any = Subject.of("genetic-alzantot", options={"population": 2}).make()
    old = members(module, [[2, 0, 0], [0, 0, 2]], [[0, 1, 3], [2, 1, 0]], [2.5, 3.75])
    oracle, dice = HandOracle(), Dice([[0, 1]], 1, coins=[[0.2, 0.7, 0.9]])
    chances = attack._chances(old, 4.5)
    new = attack._next(old, chances, SPACE, oracle, 0, dice)
    # The child takes a2 from the first parent, b and c2 from the second. Both changed words are
    # locked, so only b can be drawn, and b1 is worse.
    assert oracle.queries == [[[2, 0, 0, 2]], [[2, 0, 1, 2]]]
    # The fittest member comes first.
    assert new.genes.tolist() == [[2, 0, 0], [2, 0, 2]]
    assert new.odds.tolist() == [2.5, 1.75]
    assert new.weights.tolist() == [[0, 1, 3], [0, 1, 0]]


def test_the_first_text_that_fools_ends_the_search() -> None:
    attack: Any = Subject.of("genetic-alzantot", options={"population": 30}).make()
    oracle = HandOracle(offset=-3.0)  # a2 alone leaves 1 + 0.5 + 1 - 3 < 0
    found = attack.search(SPACE, oracle, 0, np.random.default_rng(0))
    assert found is not None
    assert found.tolist() == [2, 0, 0, 0]
    # The search asks about the original and then about the first perturbation.
    assert len(oracle.queries) == 2


def test_with_more_classes_published_scores_compare_by_p_and_not_by_the_margin(
    module: Any,
) -> None:
    class Three:
        def logits(self, choices: np.ndarray) -> np.ndarray:
            return np.array([[1.0, 0.5, 0.5], [1.0, 0.9, -9.0]], dtype=np.float32)[: len(choices)]

    two = np.zeros((2, 3), dtype=np.int16)
    odds = module.ask(two, SPACE, Three(), 0, module.odds_of_p)
    # p_y is e / (e + 2 sqrt(e)) = 0.4519 and, nearly, e / (e + e^0.9) = 0.525. So the first text
    # is the fitter one although its margin is larger.
    assert odds == pytest.approx([np.log(0.4519 / 0.5481), 0.1], abs=1e-3)
    # The margin orders them the other way.
    assert module.ask(two, SPACE, Three(), 0) == pytest.approx([0.5, 0.1], abs=1e-6)
