"""TextFooler, BERT-Attack, A2T and beam search on three words, computed by hand.

Two classes: the logit of class 0 is the margin, a sum over the words, and class 1 has logit 0. The
margins are a 2, b 3, c 1 (the text has 6) and 0.25 for the unknown token. The substitutes have
a1 1, a2 0.5, b1 2.5, c2 -0.5, c1 -1.

    position   drop with the unknown token   substitutes, by margin   kept
    b          2.75                          b1 2.5                   b1
    a          1.75                          a1 1, a2 0.5             a2
    c          0.75                          c1 -1, c2 -0.5           c1

So the order is b, a, c. The margin is 5.5 with b1 and 4 with a2 too; c2 leaves 2.5, and c1 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robench import ATTACKS, SearchSpace

MARGINS = {
    "a": 2.0,
    "b": 3.0,
    "c": 1.0,
    "?": 0.25,
    "a1": 1.0,
    "a2": 0.5,
    "b1": 2.5,
    "c1": -1.0,
    "c2": -0.5,
}
SPACE = SearchSpace(("a", "b", "c"), (("a", "a1", "a2"), ("b", "b1"), ("c", "c2", "c1")), 3)
SCALES = [1e-6, 0.1, 1.0, 3.0, 30.0, 100.0]
ORDERED = ["textfooler", "bert-attack", "a2t"]


class HandOracle:
    """Answers from the table and notes the queries.

    Args:
        bias: added to the margin.
        scale: multiplies the logits.
        steepness: what ``gradient_norms`` returns.
    """

    def __init__(
        self,
        bias: float = 0.0,
        scale: float = 1.0,
        steepness: tuple[float, float, float] = (0.2, 0.4, 0.1),
    ) -> None:
        self.bias, self.scale, self.steepness = bias, scale, steepness
        self.queries: list[list[str]] = []
        self.probed: list[int] = []

    def margin(self, words: tuple[str, ...]) -> float:
        return sum(MARGINS[word] for word in words) + self.bias

    def _logits(self, texts: list[tuple[str, ...]]) -> np.ndarray:
        rows = [[self.margin(words), 0.0] for words in texts]
        return (np.array(rows, dtype=np.float32) * np.float32(self.scale)).astype(np.float32)

    def logits(self, choices: np.ndarray) -> np.ndarray:
        texts = [SPACE.text(choice) for choice in choices]
        self.queries.append([" ".join(words) for words in texts])
        return self._logits(texts)

    def probs(self, choices: np.ndarray) -> np.ndarray:
        raise AssertionError("probabilities saturate: log-odds are asked for")

    def logits_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        assert not choice.any()
        self.probed += positions.tolist()
        words = [list(SPACE.words) for _ in positions]
        for row, position in zip(words, positions.tolist(), strict=True):
            row[position] = "?"
        return self._logits([tuple(row) for row in words])

    def probs_without(self, choice: np.ndarray, positions: np.ndarray) -> np.ndarray:
        raise AssertionError("probabilities saturate: log-odds are asked for")

    def hull(self, rng: np.random.Generator, steps: int, learning_rate: float) -> np.ndarray:
        raise AssertionError("no mixture is asked for")

    def gradient_norms(self, choice: np.ndarray) -> np.ndarray:
        assert not choice.any()
        return np.array(self.steepness) * self.scale


def search(name: str, oracle: Any, space: SearchSpace = SPACE, **options: Any) -> list[int] | None:
    cls = ATTACKS.get(name)
    attack = cls(cls.Options(**options))
    found = attack.search(space, oracle, 0, np.random.default_rng(0))
    return None if found is None else found.tolist()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ORDERED)
def test_the_words_are_changed_in_the_order_of_their_importance(name: str, scale: float) -> None:
    oracle = HandOracle(scale=scale)
    assert search(name, oracle) is None
    assert oracle.queries == [
        ["a b c"],
        ["a b1 c"],
        ["a1 b1 c", "a2 b1 c"],
        ["a2 b1 c2", "a2 b1 c1"],
    ]
    assert oracle.probed == ([] if name == "a2t" else [0, 1, 2])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize(
    ("bias", "found"),
    [
        (-2.0, None),  # a2 b1 c1 has a margin of exactly 0, where the first class wins
        (-2.25, [2, 1, 2]),  # c1 fools, c2 (0.25) does not
        (-3.0, [2, 1, 1]),  # both fool: the first of the set counts, not the least margin
        (-4.75, [1, 1, 0]),  # a1 fools in the second step: 4.5 - 4.75
        (-5.75, [0, 1, 0]),
    ],
)
def test_the_first_substitute_that_fools_ends_the_search(
    name: str, bias: float, found: list[int] | None, scale: float
) -> None:
    assert search(name, HandOracle(bias, scale)) == found


@pytest.mark.parametrize("name", ORDERED)
def test_a_substitute_that_helps_the_victim_is_not_kept(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MARGINS, "b1", 3.5)
    oracle = HandOracle(-2.75)
    assert search(name, oracle) == [2, 0, 2]
    assert oracle.queries[2] == ["a1 b c", "a2 b c"]


def test_the_gradients_alone_order_the_words_of_a2t() -> None:
    oracle = HandOracle(steepness=(0.3, 0.1, 0.3))
    search("a2t", oracle)
    # a and c are equally steep, so a comes first.
    assert oracle.queries[1:] == [
        ["a1 b c", "a2 b c"],
        ["a2 b c2", "a2 b c1"],
        ["a2 b1 c1"],
    ]


def test_bert_attack_tries_the_share_of_the_words_that_it_may() -> None:
    oracle = HandOracle()
    search("bert-attack", oracle, share=0.7)  # 2 of 3 words
    assert oracle.queries == [["a b c"], ["a b1 c"], ["a1 b1 c", "a2 b1 c"]]
    oracle = HandOracle()
    search("bert-attack", oracle, share=0.1)  # at least one
    assert oracle.queries == [["a b c"], ["a b1 c"]]


class ThreeClasses(HandOracle):
    """Logits (2, 1, 0) for every text of the space, and others with an unknown word.

    The log-odds of class 0 are 1. With a unknown they are 0.5; the drop is 0.5. With b unknown
    class 1 is predicted: the drop is 1.35, and the log-odds of class 1 rise from -1 to 0.35. With
    c unknown class 2 is: the drop is 1.3, and its log-odds rise from -2 to 0.3.
    """

    WITHOUT = ((1.5, 1.0, 0.0), (1.0, 1.35, 0.0), (1.0, 0.9, 1.3))

    def _logits(self, texts: list[tuple[str, ...]]) -> np.ndarray:
        rows = [
            self.WITHOUT[words.index("?")] if "?" in words else (2.0, 1.0, 0.0) for words in texts
        ]
        return np.array(rows, dtype=np.float32) * np.float32(self.scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("name", "order"),
    [
        # The drop and the rise: a 0.5, b 1.35 + 1.35, c 1.3 + 2.3.
        ("textfooler", ["c", "b", "a"]),
        # The drop alone: a 0.5, b 1.35, c 1.3.
        ("bert-attack", ["b", "c", "a"]),
    ],
)
def test_a_new_class_makes_a_word_more_important_to_textfooler(
    name: str, order: list[str], scale: float
) -> None:
    oracle = ThreeClasses(scale=scale)
    assert search(name, oracle) is None
    tried = [query[0].split() for query in oracle.queries[1:]]
    assert [SPACE.words[at] for at in map(changed, tried)] == order


def changed(words: list[str]) -> int:
    (at,) = [index for index, word in enumerate(words) if word != SPACE.words[index]]
    return at


# Beam search. One substitute each; the margins of the texts are given.

PAIRS = SearchSpace(("a", "b", "c"), (("a", "A"), ("b", "B"), ("c", "C")), 3)
OF_TEXT = {
    "A b c": 3.0,
    "a B c": 4.0,
    "a b C": 2.0,
    "A b C": 1.5,
    "a B C": 1.75,
    "A B c": -1.0,
    "A B C": 1.0,
}


class BeamOracle(HandOracle):
    """Answers with the margins of ``OF_TEXT``."""

    def logits(self, choices: np.ndarray) -> np.ndarray:
        texts = [" ".join(PAIRS.text(choice)) for choice in choices]
        self.queries.append(texts)
        return np.array([[OF_TEXT[text], 0] for text in texts], np.float32) * np.float32(self.scale)


@pytest.mark.parametrize("scale", SCALES)
def test_a_beam_of_one_follows_the_best_text_and_a_beam_of_two_the_second_as_well(
    scale: float,
) -> None:
    """C alone is best, but A and B fool the victim together."""
    one = BeamOracle(scale=scale)
    assert search("beam", one, PAIRS, width=1) is None
    assert one.queries == [["A b c", "a B c", "a b C"], ["A b C", "a B C"], ["A B C"]]
    two = BeamOracle(scale=scale)
    assert search("beam", two, PAIRS, width=2) == [1, 1, 0]
    # The texts of C come first; A with C is not asked a second time.
    assert two.queries == [["A b c", "a B c", "a b C"], ["A b C", "a B C", "A B c"]]


def test_after_the_first_step_a_beam_changes_the_best_positions_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(OF_TEXT, "A B c", 1.0)
    oracle = BeamOracle()
    assert search("beam", oracle, PAIRS, positions=2) is None
    # A and C are the best single changes. B is there from the first step only.
    assert oracle.queries == [
        ["A b c", "a B c", "a b C"],
        ["A b C", "A B c", "a B C"],
        ["A B C"],
    ]


def test_a_beam_that_cannot_grow_ends() -> None:
    space = SearchSpace(("a", "b", "c"), (("a", "A"), ("b",), ("c",)), 3)
    oracle = BeamOracle()
    assert search("beam", oracle, space) is None
    assert oracle.queries == [["A b c"]]
