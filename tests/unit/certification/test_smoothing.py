"""The certificate by smoothing holds for every text of the space, computed without sampling."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from certified import SmallVictim
from numpy.typing import NDArray

from robench.certification.branching import Verdict
from robench.certification.slots import Slots
from robench.certification.smoothing import Sampling, SmoothingProver, lower_bound, overlap
from robench.models.smoother import Variants
from robench.models.smoothing import Smoothing
from robench.text.word_sets import WordSets

SETS = {
    10: [10, 11, 12, 13, 14, 15, 16, 17],
    11: [11, 10, 12, 13, 14, 15, 16, 17],
    12: [12, 10, 11, 13, 14, 15, 16],
    20: [20, 21],
    21: [21, 20, 22],
    30: [30, 31],
}


class Drawing:
    """The part of a smoother that certificates use, over ``SETS``."""

    def __init__(self, smoothing: Smoothing) -> None:
        self.smoothing = smoothing
        masking = smoothing.kind == "masking"
        near = {token: len(members) for token, members in SETS.items()}
        self.sets = None if masking else WordSets.of(SETS, near, 60)

    def places(self, ids: NDArray[Any]) -> NDArray[np.intp]:
        assert self.sets is not None
        return np.flatnonzero(self.sets.sizes[ids] > 0)

    def words(self, ids: NDArray[Any]) -> int:
        return len(ids) - 2

    def masked_words(self, words: int) -> int:
        assert self.smoothing.rate is not None
        return round(words * self.smoothing.rate)

    def draw(self, ids: NDArray[Any], rng: np.random.Generator, draws: int = 1) -> Variants:
        assert self.sets is not None
        rows = np.repeat(np.array(ids, dtype=np.int64)[None], draws, axis=0)
        for place in self.places(ids).tolist():
            rows[:, place] = rng.choice(self.sets.set_of(int(ids[place])), draws)
        return Variants(rows)


def smoother(kind: str = "substitution", **fields: Any) -> Any:
    usual: dict[str, Any] = {"rate": 0.5} if kind == "masking" else {"neighbours": 8}
    return Drawing(Smoothing(kind, **({"answer": "votes"} | usual | fields)))  # type: ignore[arg-type]


def slots(*tokens: tuple[int, ...]) -> Slots:
    ids = np.array([2, *(each[0] for each in tokens), 40, 3], np.int32)
    free = [number for number, each in enumerate(tokens) if len(each) > 1]
    return Slots(
        ids,
        np.zeros(len(ids), np.int8),
        tuple(number + 1 for number in free),
        tuple(tokens[number] for number in free),
    )


def exact_shares(victim: SmallVictim, ids: NDArray[np.int32], drawing: Any) -> NDArray[np.float64]:
    """Return the share of each label over all variants of a text, without sampling."""
    sets = [drawing.sets.set_of(int(token)).tolist() for token in ids]
    rows = np.array(list(product(*sets)), dtype=np.int32)
    best = victim.logits(rows, np.full(len(rows), len(ids), np.int32)).argmax(1)
    return np.bincount(best, minlength=2) / len(rows)


def test_the_overlap_is_that_of_the_larger_set_at_every_position() -> None:
    drawing = smoother()
    assert overlap(slots((10, 11)), drawing) == 1.0
    assert overlap(slots((10, 11, 12)), drawing) == 7 / 8
    assert overlap(slots((10, 12), (20, 21)), drawing) == pytest.approx(7 / 8 * 2 / 3)
    # A word without a set stays as it is, so another word there has no overlap.
    assert overlap(slots((10, 11), (40, 41)), drawing) == 0.0
    assert overlap(slots((30, 40)), drawing) == 0.0
    assert overlap(slots((30, 31)), drawing) == 0.5
    assert overlap(slots((30,)), drawing) == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_no_text_changes_the_mean_by_more_than_the_distance(seed: int) -> None:
    victim, drawing = SmallVictim(seed=seed), smoother()
    space = slots((10, 11, 12), (20, 21), (30,))
    shares = exact_shares(victim, space.ids, drawing)
    distance = 1 - overlap(space, drawing)
    for row in space.rows(0, space.cardinality):
        assert np.abs(exact_shares(victim, row, drawing) - shares).max() <= distance + 1e-12


@pytest.mark.parametrize("answer", ["votes", "mean"])
def test_a_certified_example_keeps_its_label_on_every_text(answer: str) -> None:
    letters = []
    for seed in range(8):
        victim, drawing = SmallVictim(seed=seed), smoother(answer=answer)
        space = slots((10, 11, 12), (20,), (30,))
        prover = SmoothingProver(victim, drawing, Sampling(400, 50, 0.01, seed))
        label = int(exact_shares(victim, space.ids, drawing).argmax())
        verdict = prover.prove(space, label, f"toy/{seed}")
        assert verdict == prover.prove(space, label, f"toy/{seed}")
        letters.append(verdict.letter)
        if verdict.letter == "C" and answer == "votes":
            for row in space.rows(0, space.cardinality):
                assert exact_shares(victim, row, drawing)[label] > 0.5
    assert "C" in letters


def test_the_other_label_is_wrong() -> None:
    victim, drawing = SmallVictim(seed=0), smoother()
    space = slots((10, 11))
    label = int(exact_shares(victim, space.ids, drawing).argmax())
    prover = SmoothingProver(victim, drawing, Sampling(50, 50, 0.01, 0))
    verdict = prover.prove(space, 1 - label, "toy/1")
    assert verdict == Verdict("W", "another label has most draws")
    assert prover.wrong(space, 1 - label, "toy/1") == verdict
    assert prover.wrong(space, label, "toy/1") is None


class Constant:
    """A model that gives label 0 to a share of the rows that it is asked, in turn."""

    def __init__(self, share: float) -> None:
        self.share, self.asked = share, 0

    def logits(self, ids: Any, lengths: Any, types: Any = None) -> Any:
        first = np.arange(self.asked, self.asked + len(ids)) * self.share % 1 < self.share
        self.asked += len(ids)
        return np.stack([first, ~first], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("share", "tokens", "letter"),
    [
        (1.0, (10, 11), "C"),
        (1.0, (10, 12), "C"),
        (1.0, (20, 21), "C"),  # 1 - 1/3 lies above 1/2
        (0.8, (20, 21), "U"),  # 0.8 - 1/3 does not
        (0.8, (10, 11), "C"),
        (0.52, (10, 11), "A"),
        (1.0, (30, 40), "U"),
    ],
)
def test_the_letters(share: float, tokens: tuple[int, ...], letter: str) -> None:
    prover = SmoothingProver(Constant(share), smoother(), Sampling(500, 50, 0.01, 0))
    assert prover.prove(slots(tokens), 0, "toy/1").letter == letter


def test_the_bound_is_clopper_and_pearsons() -> None:
    from scipy.stats import binom

    assert lower_bound(0, 10, 0.01) == 0.0
    assert lower_bound(100, 100, 0.01) == pytest.approx(0.01 ** (1 / 100))
    # At the bound, so many successes or more have exactly the probability alpha.
    bound = lower_bound(70, 100, 0.05)
    assert binom.sf(69, 100, bound) == pytest.approx(0.05)


def test_masking_overlaps_where_all_changed_words_are_hidden() -> None:
    drawing = smoother("masking")
    # Five words and one of them changed; two words stay visible: 6 of 10 choices leave it out.
    space = slots((10, 11), (5,), (6,), (7,))
    assert drawing.masked_words(5) == 2
    assert overlap(space, drawing) == pytest.approx(4 / 10)
    assert overlap(slots((10, 11), (10, 11), (10, 11), (10, 11)), drawing) == 0.0


def test_mixtures_of_vectors_have_no_certificate() -> None:
    drawing = smoother("hull", concentration=1.0, decay=0.5)
    assert overlap(slots((10, 11)), drawing) == 0.0
