"""One step of the genetic search, computed by hand. The random draws are given by the test."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from robench import ATTACKS, SearchSpace, build_options

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
    """Class 0 has the margin as its logit, a sum over the words; class 1 has logit 0."""

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes
        self.queries: list[list[list[int]]] = []

    def logits(self, choices: np.ndarray) -> np.ndarray:
        self.queries.append(choices.tolist())
        logits = np.zeros((len(choices), self.classes), dtype=np.float32)
        logits[:, 0] = [sum(MARGINS[word] for word in SPACE.text(choice)) for choice in choices]
        logits[:, 2:] = -7.0
        return logits

    def probs(self, choices: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def probs_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Dice:
    """A random stream with given draws; it notes the probabilities that it is given."""

    def __init__(self, places: Any, parents: Any = None, coins: Any = None) -> None:
        self.places, self.parents, self.coins = places, parents, coins
        self.odds: Any = None

    def integers(self, high: int, size: int) -> np.ndarray:
        assert (high, size) == (3, len(self.places))
        return np.array(self.places)

    def choice(self, members: int, size: tuple[int, int], p: np.ndarray) -> np.ndarray:
        self.odds = p
        assert size == np.shape(self.parents)
        return np.array(self.parents)

    def random(self, size: tuple[int, int]) -> np.ndarray:
        assert size == np.shape(self.coins)
        return np.array(self.coins)


@pytest.fixture
def genetic() -> Any:
    ATTACKS.get("genetic")
    return importlib.import_module("robench.attacks.genetic")


def test_perturb_asks_every_option_of_one_position_and_takes_the_least_margin(genetic: Any) -> None:
    genes = np.array([[1, 1, 3], [2, 0, 0], [0, 1, 0]], dtype=np.int16)
    oracle = HandOracle()
    young = genetic.perturb(genes, SPACE, oracle, 0, Dice([0, 2, 1]))
    assert oracle.queries == [
        [
            [0, 0, 1, 3],
            [1, 0, 1, 3],
            [2, 0, 1, 3],
            [2, 0, 0, 0],
            [2, 0, 0, 1],
            [2, 0, 0, 2],
            [2, 0, 0, 3],
            [0, 0, 0, 0],
            [0, 0, 1, 0],
        ],
    ]
    # The last member goes back to the original word: every option is allowed.
    assert young.genes.tolist() == [[2, 1, 3], [2, 0, 2], [0, 0, 0]]
    assert young.margins.tolist() == [1.0 + 2.5 + 4.0, 1.0 + 0.5 + 0.25, 3.0 + 0.5 + 1.0]
    assert genes.tolist() == [[1, 1, 3], [2, 0, 0], [0, 1, 0]]


def test_next_generation_keeps_the_fittest_and_crosses_the_drawn_parents(genetic: Any) -> None:
    genes = np.array([[0, 0, 0], [2, 1, 2], [1, 0, 1]], dtype=np.int16)
    old = genetic.Generation(genes, np.array([4.5, 3.75, 3.5], dtype=np.float32), 2)
    dice = Dice([2, 0], parents=[[0, 1], [1, 1]], coins=[[0.2, 0.7, 0.9], [0.5, 0.1, 0.6]])
    new = genetic.next_generation(old, old.fitness(4.5), SPACE, HandOracle(), 0, dice)
    # Child 1 takes word 0 from parent 0 (the coin is below one half) and the rest from parent 1:
    # [0, 1, 2]. The best option at gene 2 is c2 again.
    # Child 2 has parent 1 twice: [2, 1, 2]. The best option at gene 0 is a2 again.
    assert new.genes.tolist() == [[1, 0, 1], [0, 1, 2], [2, 1, 2]]
    assert new.margins.tolist() == [3.5, 5.75, 3.75]


@pytest.mark.parametrize(("classes", "least"), [(2, 1e-8), (3, 1e-4)])
def test_published_parents_are_drawn_in_proportion_to_one_minus_p(
    genetic: Any, classes: int, least: float
) -> None:
    margins = np.array([4.5, 0.0, 2.0])
    old = genetic.Generation(np.zeros((3, 3), dtype=np.int16), margins, classes)
    dice = Dice([0, 0], parents=[[0, 0], [0, 0]], coins=[[0.0] * 3] * 2)
    genetic.next_generation(old, old.fitness(None), SPACE, HandOracle(classes), 0, dice)
    fitness = np.array([0.01098694, 0.5, 0.11920292]) + least  # 1 / (1 + e^margin)
    assert dice.odds == pytest.approx(fitness / fitness.sum(), rel=1e-5)


@pytest.mark.parametrize(("classes", "least"), [(2, 1e-8), (3, 1e-4)])
def test_the_published_fitness_is_the_sigmoid_also_of_very_large_margins(
    genetic: Any, classes: int, least: float
) -> None:
    margins = np.array([-1e6, -800.0, -30.0, -1.5, -1e-9, 0.0, 1e-9, 1.5, 30.0, 800.0, 1e6])
    generation = genetic.Generation(np.zeros((len(margins), 3), np.int16), margins, classes)
    with np.errstate(over="raise", invalid="raise"):
        fitness = generation.fitness(None)
    np.testing.assert_allclose(fitness, expit(-margins) + least, rtol=1e-13, atol=0)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 100.0])
@pytest.mark.parametrize(("classes", "least"), [(2, 1e-8), (3, 1e-4)])
def test_parents_are_drawn_by_their_share_of_the_original_margin(
    genetic: Any, classes: int, least: float, scale: float
) -> None:
    """The original text counts as a margin of 4, and the members as 4, 0 and 2."""
    margins = scale * np.array([5.0, 0.0, 2.5])
    old = genetic.Generation(np.zeros((3, 3), dtype=np.int16), margins, classes)
    fitness = np.array([0.01798621, 0.5, 0.11920292]) + least  # 1 / (1 + e^margin)
    assert old.fitness(scale * 5.0) == pytest.approx(fitness, rel=1e-5)


@pytest.mark.parametrize(("scores", "clean"), [("log-odds", 4.5), ("probabilities", None)])
def test_the_option_chooses_the_draw_of_parents(
    genetic: Any, scores: str, clean: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    fitness = genetic.Generation.fitness

    def watched(generation: Any, unit: float | None) -> Any:
        seen.append(unit)
        return fitness(generation, unit)

    monkeypatch.setattr(genetic.Generation, "fitness", watched)
    cls = ATTACKS.get("genetic")
    options = build_options(cls.Options, {"scores": scores, "iterations": "2"}, "attack 'genetic'")
    cls(options).search(SPACE, HandOracle(), 0, np.random.default_rng(0))  # type: ignore[arg-type]
    # The original text has the words a, x, b and c: 3 + 0 + 0.5 + 1.
    assert seen == [clean, clean]


def test_the_fittest_is_the_most_frequent_parent(genetic: Any) -> None:
    """TextAttack's search has an inverted sign and prefers the worst; this search must not."""
    margins = np.array([3.0, 0.2, 1.0, 5.0, 2.0], dtype=np.float32)
    old = genetic.Generation(np.zeros((5, 3), dtype=np.int16), margins, 2)
    drawn: Counter[int] = Counter()

    class Watched:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(5)

        def choice(self, *args: Any, **settings: Any) -> np.ndarray:
            parents: np.ndarray = self.rng.choice(*args, **settings)
            drawn.update(parents.ravel().tolist())
            return parents

        def __getattr__(self, name: str) -> Any:
            return getattr(self.rng, name)

    dice, weights = Watched(), old.fitness(4.5)
    for _ in range(300):
        genetic.next_generation(old, weights, SPACE, HandOracle(), 0, dice)
    assert [member for member, _ in drawn.most_common()] == np.argsort(margins).tolist()
