"""ROSE, first order: each step updates only the tensors on which two dropout passes agree most."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, TextClassifier
from robench.methods import ROSE_DEVIATIONS, Selective, SelectiveAdamW, divergence_saliency


@DEFENSES.register("rose-first")
class RoseFirst(Selective):
    """Freeze the tensors with the largest gradient of the dropout divergence, at each step.

    The tensors are the weights of the encoder's layers. Two forward passes with different dropout
    should agree. A tensor with a large influence on their divergence is taken to learn something
    spurious. The method changes the optimiser and not the loss, so it can join any loss:
    ``rift+rose-first``.
    """

    paper = (
        "Jiang et al., ROSE: Robust Selective Fine-tuning for Pre-trained Language Models,"
        " EMNLP 2022"
    )
    deviations = (
        "The loss is the cross-entropy of one forward pass, or that of the defense it is joined"
        " with; the release averages it over the two passes that it measures.",
        "On SST-2, upper is what the release gives for RoBERTa-base. Elsewhere it is the median of"
        " the release's eight settings for GLUE (0.5 to 0.8).",
        *ROSE_DEVIATIONS,
    )
    task_defaults = {"sst2": {"upper": 0.6}}  # noqa: RUF012

    class Options(Selective.Options):
        """Quantiles, optimiser and the dropout of the two passes."""

        dropout: float = Field(
            0.1,
            gt=0,
            lt=1,
            description="Dropout of the encoder in the two passes whose divergence is measured.",
        )

    options: Options

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Measure each tensor's saliency on this batch."""
        self.saliency = divergence_saliency(model, batch, self.tensors, self.options.dropout)

    def shares(self, optimizer: SelectiveAdamW) -> Tensor:
        """Return 0 or 1 for each tensor, from the saliencies just measured."""
        return self.mask(self.saliency)
