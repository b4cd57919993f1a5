"""ROSE, ensemble: the masks of the first and of the second order together."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, TextClassifier
from robench.methods import (
    ROSE_DEVIATIONS,
    SaliencyRule,
    Selective,
    SelectiveAdamW,
    divergence_saliency,
)


@DEFENSES.register("rose-ensemble")
class RoseEnsemble(Selective):
    """Update each tensor by ``gamma`` of the first-order mask and ``1 - gamma`` of the second.

    The tensors are the weights of the encoder's layers. Both masks are those of ``rose-first`` and
    ``rose-second``, with the same quantiles. A tensor that only one mask keeps gets part of its
    update.
    """

    paper = (
        "Jiang et al., ROSE: Robust Selective Fine-tuning for Pre-trained Language Models,"
        " EMNLP 2022"
    )
    deviations = (
        "The loss is the cross-entropy of one forward pass, or that of the defense it is joined"
        " with; the release averages it over the two passes that it measures.",
        "A tensor whose momentum is zero is kept by the second mask; the release freezes it, or"
        " all tensors.",
        "On SST-2, upper is what the release gives for RoBERTa-base. Elsewhere it is the median of"
        " the release's eight settings for GLUE (0.3 to 0.9).",
        *ROSE_DEVIATIONS,
    )
    task_defaults = {"sst2": {"upper": 0.4}}  # noqa: RUF012

    class Options(Selective.Options):
        """Quantiles, optimiser, and the settings of both masks."""

        upper: float = Field(
            0.775,
            gt=0,
            le=1,
            description="A mask does not keep tensors whose saliency lies above this quantile.",
        )
        gamma: float = Field(0.5, ge=0, le=1, description="Weight of the first-order mask.")
        dropout: float = Field(
            0.1,
            gt=0,
            lt=1,
            description="Dropout of the encoder in the two passes whose divergence is measured.",
        )
        rule: SaliencyRule = Field(
            "released",
            description="The second-order saliency: as released, or the relative change of the"
            " momentum.",
        )

    options: Options

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Measure each tensor's first-order saliency on this batch."""
        self.saliency = divergence_saliency(model, batch, self.tensors, self.options.dropout)

    def shares(self, optimizer: SelectiveAdamW) -> Tensor:
        """Return the weighted mean of the two masks."""
        first = self.mask(self.saliency)
        second = self.mask(optimizer.saliency(self.options.rule))
        return self.options.gamma * first + (1 - self.options.gamma) * second
