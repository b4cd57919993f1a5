"""SAFER: train and answer on random word substitutions."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    RANDOMISED_DEVIATIONS,
    SETS_DEVIATION,
    SUITE_DEVIATIONS,
    RandomisedOptions,
    Smoothing,
    drawn_batch,
    required_smoother,
)


@DEFENSES.register("safer")
class Safer(Defense):
    """Replace each word by a random word of its perturbation set, in training and at test time.

    The perturbation set of a word is its substitution set, enlarged: all words of its connected
    component if they are at most ``neighbours``, and the nearest of them otherwise. The victim
    answers from ``draws`` random variants of a text, so a single substitution changes little.
    """

    paper = (
        "Ye, Gong, Liu, SAFER: A Structure-free Approach for Certified Robustness to Adversarial"
        " Word Substitutions, ACL 2020"
    )
    deviations = (
        "Substitutions are those of the task's substitution set; the paper links words by the"
        " cosine (0.8) of counter-fitted vectors.",
        "In a large component the nearest words are those that the fewest substitutions reach,"
        " and among equals those whose vectors in the pre-trained encoder are closest. The paper"
        " ranks all words of the component by their vectors.",
        "Training replaces the words at random, as the paper says; the published code does not.",
        "The paper certifies with 5,000 variants and runs no search; for searches the default is"
        " 16.",
        SETS_DEVIATION,
        *RANDOMISED_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    class Options(RandomisedOptions):
        """Options of every randomised defense, and the size of the sets."""

        neighbours: int = Field(
            100,
            ge=2,
            description="Most words of a perturbation set (the paper's K), the word included.",
            json_schema_extra={"unit": "words"},
        )

    options: Options

    @property
    def smoothing(self) -> Smoothing:
        """Answer from random substitutions."""
        options = self.options
        return Smoothing(
            "substitution", options.draws, options.answer, neighbours=options.neighbours
        )

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy on texts with random substitutions."""
        return super().loss(model, drawn_batch(required_smoother(self.smoother), batch))
