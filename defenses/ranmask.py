"""RanMASK: train and answer on randomly masked texts."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    RANDOMISED_DEVIATIONS,
    SUITE_DEVIATIONS,
    RandomisedOptions,
    Smoothing,
    drawn_batch,
    required_smoother,
)


@DEFENSES.register("ranmask")
class RanMask(Defense):
    """Replace a share ``rate`` of the words by the mask token, in training and at test time.

    The victim answers from ``draws`` random maskings of a text. Most of them hide a given word, so
    a few substitutions change few variants. The defense needs no substitution set.
    """

    paper = (
        "Zeng et al., Certified Robustness to Text Adversarial Attacks by Randomized [MASK],"
        " Computational Linguistics 49(2), 2023"
    )
    deviations = (
        "Each token of a masked word becomes a mask token; in the release the word becomes one.",
        "The release answers from 100 maskings (5,000 for certificates); the default here is 16.",
        "The paper chooses a rate for each task. Its text was not at hand, so the default is that"
        " of the release for all tasks.",
        "The release's variant that masks by the loss of a language model is left out.",
        *RANDOMISED_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    class Options(RandomisedOptions):
        """Options of every randomised defense, and the rate."""

        rate: float = Field(
            0.7,
            gt=0,
            lt=1,
            description="Share of the words that are masked; two words are always kept. The"
            " default is the release's.",
        )

    options: Options

    @property
    def smoothing(self) -> Smoothing:
        """Answer from random maskings."""
        return Smoothing("masking", self.options.draws, self.options.answer, rate=self.options.rate)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy on randomly masked texts."""
        return super().loss(model, drawn_batch(required_smoother(self.smoother), batch))
