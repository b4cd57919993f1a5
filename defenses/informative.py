"""Informative fine-tuning: keep the pre-trained encoder's information about each class.

It trains on no adversarial examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import LOOP_DEVIATIONS, InformationOptions, InformationTerm, balanced_batches

if TYPE_CHECKING:
    import numpy as np


@DEFENSES.register("informative")
class Informative(Defense):
    """Minimise ``CE + alpha L_info`` on clean texts: RIFT without its adversary.

    See the RIFT paper, Sections 2.3 and 3.5. ``L_info`` (Lemma 1) compares the feature of a text
    with the pre-trained encoder's features of texts of the same class. It is low if the feature
    shows which of them belongs to the same text.
    """

    paper = (
        "Dong et al., How Should Pre-Trained Language Models Be Fine-Tuned Towards Adversarial"
        " Robustness?, NeurIPS 2021, Sections 2.3 and 3.5"
    )
    deviations = (
        "The paper does not say which alpha it used without adversarial examples: RIFT's values"
        " are taken.",
        "The contrastive softmax runs over teachers, as Lemma 1 says; the release's runs over"
        " students (option negatives=students).",
        "L_info keeps the constant -log N of Lemma 1, so that its negative is the bound; this"
        " changes no gradient.",
        "The teacher is a copy of the student; the release loads the encoder twice, which may give"
        " RoBERTa two different random poolers.",
        "Batches hold texts of similar length (sorted within windows of 32 batches), so a text's"
        " negatives have about its length; Algorithm 1 and Lemma 1 draw them independently.",
        *LOOP_DEVIATIONS,
    )
    parallel = True
    task_defaults = {  # noqa: RUF012
        "imdb": {"alpha": 0.1},
        "snli": {"alpha": 0.7},
    }

    class Options(InformationOptions):
        """Options of the contrastive term."""

        alpha: float = Field(0.1, gt=0, description="Weight of the contrastive term.")

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Copy the teacher and draw the projection heads."""
        self.information = InformationTerm(model, self.options)

    def modules(self) -> Iterable[nn.Module]:
        """Return the projection heads."""
        return self.information.modules()

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        """Return class-balanced, class-contiguous batches."""
        self.information.clear_memory()
        return balanced_batches(labels, lengths, batch_size, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy and the contrastive term of the same features."""
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        task = cross_entropy(model.classify(features), batch.labels)
        information = self.information(features, batch)
        self.figures = {"task": task.detach(), "information": information.detach()}
        return task + self.options.alpha * information
