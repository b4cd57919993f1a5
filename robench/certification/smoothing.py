"""Certificates by randomised smoothing over words: SAFER, and RanMASK for masking.

SAFER is Ye, Gong and Liu, ACL 2020 ("SAFER: A structure-free approach for certified robustness to
adversarial word substitutions"). A smoothed victim answers with the mean over random variants of a
text. Let ``p(X)`` be the mean for the true label, over all variants of the text X. For another text
X' of the space, ``p(X')`` differs from ``p(X)`` by at most the total variation distance of the two
distributions of variants. Words are drawn independently, so this distance is at most
``1 - product of the overlaps`` of the sets at all positions (Theorem 1, with R = all positions).
The overlap of two uniform distributions is the number of common words over the size of the larger
set. For sets of equal size this is the paper's ``q_x``. The general form needs neither equal sizes
nor symmetric sets, so nothing is assumed about the published set.

The example is certified if a lower confidence bound of ``p(X)`` minus that distance exceeds 1/2
(Theorem 2, with 1 minus the bound as the bound of every other label).

The bound is that of Clopper and Pearson. The label is chosen from other draws (Cohen et al. 2019).
A victim that averages probabilities gets each probability rounded to 0 or 1 at random with that
probability: the mean is the same, and the rounded draws are Bernoulli draws.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import comb, prod
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from robench.certification.branching import BLOCK, Verdict
from robench.certification.slots import Slots
from robench.models.probabilities import exact_softmax

if TYPE_CHECKING:
    from robench.models.smoother import Smoother


class BaseModel(Protocol):
    """The model whose answers to variants are averaged."""

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the logits ``(batch, classes)`` of rows, without smoothing."""


@dataclass(frozen=True)
class Sampling:
    """How many variants are drawn, and how sure a certificate is.

    Attributes:
        draws: variants for the bound.
        guess: variants that choose the label.
        alpha: probability that the bound is wrong.
        seed: of the draws.
    """

    draws: int
    guess: int
    alpha: float
    seed: int


@dataclass(frozen=True)
class SmoothingProver:
    """Certifies examples for a smoothed victim.

    Attributes:
        base: the model without smoothing.
        smoother: draws the variants.
        sampling: how many, and how sure.
    """

    base: BaseModel
    smoother: Smoother
    sampling: Sampling

    def prove(self, slots: Slots, label: int, example_id: str) -> Verdict:
        """Return the verdict on one example, also where the victim is wrong on it."""
        rng = self._draws_of(example_id)
        if (wrong := self._wrong(slots, label, rng)) is not None:
            return wrong
        distance = 1 - overlap(slots, self.smoother)
        if distance >= 0.5:
            return Verdict("U", "the sets of words overlap too little")
        votes = self._votes(slots, self.sampling.draws, rng)[:, label]
        low = lower_bound(int(votes.sum()), len(votes), self.sampling.alpha)
        if low <= 0.5:
            return Verdict("A", "the draws do not decide")
        if low - distance > 0.5:
            return Verdict("C", "smoothing")
        return Verdict("U", "the draws agree too little")

    def wrong(self, slots: Slots, label: int, example_id: str) -> Verdict | None:
        """Return the verdict on an example on which the victim is wrong; None where it is right.

        It is the verdict of ``prove``, from the same draws, and needs no substitutes.
        """
        return self._wrong(slots, label, self._draws_of(example_id))

    def _wrong(self, slots: Slots, label: int, rng: np.random.Generator) -> Verdict | None:
        guessed = self._votes(slots, self.sampling.guess, rng).mean(0)
        if int(guessed.argmax()) == label:
            return None
        return Verdict("W", "another label has most draws")

    def _draws_of(self, example_id: str) -> np.random.Generator:
        """Return the source of the draws for one example."""
        content = f"certify:{self.sampling.seed}:{example_id}".encode()
        return np.random.default_rng(
            int.from_bytes(hashlib.sha256(content).digest()[:16], "little")
        )

    def _votes(self, slots: Slots, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return for each variant which label it counts for, ``(number, classes)`` of 0 and 1.

        Of a mean of probabilities, each class is rounded at random; a row may have several ones.
        """
        found = []
        for start in range(0, number, BLOCK):
            size = min(BLOCK, number - start)
            ids = self.smoother.draw(slots.ids, rng, size).ids.astype(np.int32)
            lengths = np.full(len(ids), ids.shape[1], dtype=np.int32)
            logits = self.base.logits(ids, lengths, slots.types).astype(np.float64)
            if self.smoother.smoothing.answer == "votes":
                found.append(np.eye(logits.shape[1])[logits.argmax(1)])
                continue
            probs = exact_softmax(logits)
            found.append((rng.random(probs.shape) < probs).astype(np.float64))
        return np.concatenate(found)


def lower_bound(successes: int, draws: int, alpha: float) -> float:
    """Return Clopper and Pearson's lower bound of a probability, wrong with at most ``alpha``."""
    from scipy.stats import beta

    if not successes:
        return 0.0
    return float(beta.ppf(alpha, successes, draws - successes + 1))


def overlap(slots: Slots, smoother: Smoother) -> float:
    """Return a lower bound of the overlap of the variants of any two texts of a space.

    One of the two is the original text. The result lies in [0, 1].
    """
    if smoother.smoothing.kind == "masking":
        return _masked_overlap(smoother.words(slots.ids), len(slots.columns), smoother)
    if smoother.sets is None or smoother.smoothing.kind != "substitution":
        return 0.0
    drawn = set(smoother.places(slots.ids).tolist())
    sets = smoother.sets
    return prod(
        min(sets.overlap(tokens[0], other) for other in tokens[1:]) if column in drawn else 0.0
        for column, tokens in zip(slots.columns, slots.tokens, strict=True)
    )


def _masked_overlap(words: int, changed: int, smoother: Smoother) -> float:
    """Return the probability that masking hides all words that may be changed.

    Then the variants of both texts are the same (RanMASK, Zeng et al. 2023, with every position
    changed and its factor beta set to 1).
    """
    kept = words - smoother.masked_words(words)
    if not words or changed > words:
        return 0.0
    return comb(words - changed, kept) / comb(words, kept)
