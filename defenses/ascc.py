"""ASCC: adversarial fine-tuning on the worst word mixtures.

It is the baseline Adv-Base of the RIFT paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import (
    LOOP_DEVIATIONS,
    SUBSTITUTES_DEVIATION,
    AdversarialOptions,
    balanced_batches,
    robust_task_loss,
)

if TYPE_CHECKING:
    import numpy as np


@DEFENSES.register("ascc")
class Ascc(Defense):
    """Minimise ``CE(clean) + beta KL(clean || adversarial)`` (RIFT paper, Eq. 9).

    The adversarial features come from the worst word mixtures in the convex hull of the
    substitutions (Eq. 8). Together with ``weight-decay`` or ``mixout`` it gives two rows of the
    paper: ``ascc+weight-decay`` is Adv-PTWD, and ``ascc+mixout`` is Adv-Mixout.
    """

    paper = (
        "Dong et al., Towards Robustness Against Natural Language Word Substitutions, ICLR 2021;"
        " for encoders as in Dong et al., NeurIPS 2021"
    )
    deviations = (
        "ASCC was published for CNNs and LSTMs on word vectors; here, as in the RIFT paper, the"
        " outputs of the encoder's embedding layer are mixed.",
        "The inner search's learning rate is 1, as in RIFT's release for encoders; ASCC's is 10.",
        "Every batch is class-balanced, as in RIFT's release, so that RIFT differs from it by the"
        " contrastive term alone.",
        "Batches hold texts of similar length (sorted within windows of 32 batches); those of the"
        " releases are drawn at random.",
        "beta (10 on IMDB, 5 on SNLI) and the weight of the entropy (15 / 38,400 of its sum) are"
        " RIFT's; ASCC's release has 4, and 15 times the mean.",
        "The loss has no adversarial cross-entropy and no L2 penalty, as in RIFT's release; ASCC's"
        " has a penalty of 2e-4.",
        "Substitutes that share a token make one slot of the mixture, and there are as many slots"
        " as a batch needs instead of 10. So the inner search starts from another spread.",
        SUBSTITUTES_DEVIATION,
        *LOOP_DEVIATIONS,
    )
    substitutes = True
    parallel = True
    task_defaults = {  # noqa: RUF012
        "imdb": {"beta": 10.0},
        "snli": {"beta": 5.0},
        # The value of every defense on word mixtures there, see docs/decisions/0003-training.md.
        "mini-reviews": {"beta": 4.0},
    }

    class Options(AdversarialOptions):
        """Weight of the KL term and settings of the inner search."""

    options: Options

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        """Return class-balanced batches."""
        return balanced_batches(labels, lengths, batch_size, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the loss of Eq. 9."""
        task = robust_task_loss(model, batch, self.options)
        self.figures = task.figures
        return task.loss
