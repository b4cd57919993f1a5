"""ROSE, first order: at each step only those tensors are updated on which two dropout passes agree most."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, TextClassifier
from robench.methods import ROSE_DEVIATIONS, Selective, SelectiveAdamW, divergence_saliency


@DEFENSES.register("rose-first")
class RoseFirst(Selective):
    """Freezes, for each step, the layers' weight tensors whose gradient of the dropout divergence is largest.

    Two forward passes with different dropout should agree; a tensor on which their divergence leans hard is taken for one that learns
    something spurious. It changes the optimiser and not the loss, so it goes with any loss: ``rift+rose-first``.
    """

    paper = "Jiang et al., ROSE: Robust Selective Fine-tuning for Pre-trained Language Models, EMNLP 2022"
    deviations = (
        "The loss is cross-entropy of one forward pass, or that of the defense it goes with; the release averages that of the two passes it measures.",
        "The paper's tasks are those of GLUE: the default of upper is the median of its eight published settings (0.5 to 0.8).",
        *ROSE_DEVIATIONS,
    )

    class Options(Selective.Options):
        """Quantiles, optimiser and the dropout of the two passes."""

        dropout: float = Field(
            0.1,
            gt=0,
            lt=1,
            description="Of the encoder in the two passes whose divergence is measured.",
        )

    options: Options

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Measure each tensor's saliency on this batch."""
        self.saliency = divergence_saliency(model, batch, self.tensors, self.options.dropout)

    def shares(self, optimizer: SelectiveAdamW) -> Tensor:
        """0 or 1 by the saliencies just measured."""
        return self.mask(self.saliency)
