"""ASCC: adversarial fine-tuning on the worst word mixtures, the baseline (Adv-Base) of the RIFT paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import LOOP_DEVIATIONS, AdversarialOptions, balanced_batches, robust_task_loss

if TYPE_CHECKING:
    import numpy as np


@DEFENSES.register("ascc")
class Ascc(Defense):
    """Minimises ``CE(clean) + beta KL(clean || adversarial)`` (RIFT paper, Eq. 9).

    Adversarial features come from the worst word mixtures in the convex hull of the substitutions (Eq. 8). With ``weight-decay`` or
    ``mixout`` beside it (``ascc+weight-decay``, ``ascc+mixout``) it makes the paper's rows Adv-PTWD and Adv-Mixout.
    """

    paper = "Dong et al., Towards Robustness Against Natural Language Word Substitutions, ICLR 2021; for encoders as in Dong et al., NeurIPS 2021"
    deviations = (
        "ASCC was published for CNNs and LSTMs on word vectors; as in RIFT's paper, what is mixed here are the outputs of the encoder's embedding layer.",
        "The inner search's learning rate is 1, as in RIFT's release for encoders; ASCC's is 10.",
        "Every batch is class-balanced, as in RIFT's release, so that RIFT differs from it by the contrastive term alone.",
        "Batches hold texts of like length (sorted within windows of 32 batches); the releases' are drawn at random.",
        "beta (10 on IMDB, 5 on SNLI) and the weight of the entropy (15 / 38,400 of its sum) are RIFT's; ASCC's release has 4, and 15 times the mean.",
        "Substitutes that share a token make one slot of the mixture, and there are as many slots as a batch needs instead of 10.",
        *LOOP_DEVIATIONS,
    )
    substitutes = True
    parallel = True
    task_defaults = {  # noqa: RUF012
        "imdb": {"beta": 10.0},
        "snli": {"beta": 5.0},
        # As for every defense on word mixtures there, see docs/decisions/0003-training.md.
        "mini-reviews": {"beta": 4.0},
    }

    class Options(AdversarialOptions):
        """Weight of the invariance and settings of the inner search."""

    options: Options

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        """Class-balanced batches."""
        return balanced_batches(labels, lengths, batch_size, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Eq. 9."""
        task = robust_task_loss(model, batch, self.options)
        self.figures = task.figures
        return task.loss
