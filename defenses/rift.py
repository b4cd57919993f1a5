"""RIFT: robust informative fine-tuning.

It is adversarial fine-tuning that keeps the pre-trained encoder's information about each class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    LOOP_DEVIATIONS,
    SUBSTITUTES_DEVIATION,
    AdversarialOptions,
    InformationOptions,
    InformationTerm,
    balanced_batches,
    robust_task_loss,
)

if TYPE_CHECKING:
    import numpy as np


@DEFENSES.register("rift")
class Rift(Defense):
    """Minimise ``CE(clean) + beta KL(clean || adversarial) + alpha L_r-info`` (Eq. 11).

    The adversarial features come from the worst word mixtures in the convex hull of the
    substitutions (Eq. 8). ``L_r-info`` (Eq. 10) compares the adversarial feature of a text with
    the pre-trained encoder's features of texts of the same class. It is low if the feature shows
    which of them belongs to the same text. The teacher is a copy of the encoder before the first
    step. It is frozen, in eval mode, and reads clean texts only.

    ``conditional=false`` maximises I(S; T) instead of I(S; T | Y), as in the other row of Table 3.
    ``memory`` is not in the paper, which leaves it to future work (Section 3.5).
    """

    paper = (
        "Dong et al., How Should Pre-Trained Language Models Be Fine-Tuned Towards Adversarial"
        " Robustness?, NeurIPS 2021"
    )
    deviations = (
        "The contrastive term uses the adversarial feature of the KL term; the release makes a"
        " third forward pass with its own dropout.",
        "The contrastive softmax runs over teachers, as Eq. 10 says; the release's runs over"
        " students (option negatives=students).",
        "L_r-info keeps the constant -log N of Eq. 10, so that its negative is the bound; this"
        " changes no gradient.",
        "Every batch is exactly class-balanced; the release's last batch of an epoch is not, and"
        " its class slices are then mixed.",
        "Batches hold texts of similar length (sorted within windows of 32 batches), so a text's"
        " negatives have about its length; Algorithm 1 and Lemma 1 draw them independently.",
        "With RoBERTa each word gives one token, also after a word that its own splitter would take"
        " apart; the release attaches all later substitutes to wrong tokens there.",
        "The teacher is a copy of the student; the release loads the encoder twice, which may give"
        " RoBERTa two different random poolers.",
        "Substitutes that share a token make one slot of the mixture, and there are as many slots"
        " as a batch needs instead of 10. So the inner search starts from another spread.",
        SUBSTITUTES_DEVIATION,
        *LOOP_DEVIATIONS,
    )
    substitutes = True
    parallel = True
    task_defaults = {  # noqa: RUF012
        "imdb": {"alpha": 0.1, "beta": 10.0},
        "snli": {"alpha": 0.7, "beta": 5.0},
        # Chosen here on dev of the synthetic task, see docs/decisions/0003-training.md.
        "mini-reviews": {"beta": 4.0},
    }

    class Options(AdversarialOptions, InformationOptions):
        """RIFT's options; the defaults are the paper's for IMDB (appendix A.1, the scripts)."""

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Copy the teacher and draw the projection heads, unless alpha is 0."""
        self.information = InformationTerm(model, self.options) if self.options.alpha > 0 else None

    def modules(self) -> Iterable[nn.Module]:
        """Return the projection heads."""
        return () if self.information is None else self.information.modules()

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        """Return class-balanced, class-contiguous batches (Algorithm 1)."""
        if self.information is not None:
            self.information.clear_memory()
        return balanced_batches(labels, lengths, batch_size, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the loss of Eq. 11."""
        task = robust_task_loss(model, batch, self.options)
        self.figures = task.figures
        if self.information is None:
            return task.loss
        information = self.information(task.features, batch)
        self.figures["information"] = information.detach()
        return task.loss + self.options.alpha * information
