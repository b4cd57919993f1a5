"""ROSE, second order: each step selects tensors by their gradient relative to their momentum.

As released, it updates those whose gradient is largest relative to the momentum, the noisy ones.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from robench import DEFENSES
from robench.methods import ROSE_DEVIATIONS, SaliencyRule, Selective, SelectiveAdamW


@DEFENSES.register("rose-second")
class RoseSecond(Selective):
    """Freeze the tensors whose gradient is smallest relative to Adam's momentum, at each step.

    The tensors are the weights of the encoder's layers. The default is the release's rule: it
    measures ``|0.1 ||g|| / ||m|| - 1|`` and updates the tensors with the smallest value. The ratio
    is about 0.1 for a steady gradient and 0.44 for pure noise. So the release freezes the steadiest
    tensors, the opposite of what is meant. ``rule=change`` measures the relative change of the
    momentum and freezes the noisiest tensors.

    The method changes the optimiser and not the loss, so it can join any loss:
    ``rift+rose-second``.
    """

    paper = (
        "Jiang et al., ROSE: Robust Selective Fine-tuning for Pre-trained Language Models,"
        " EMNLP 2022"
    )
    deviations = (
        "The rule is the release's (option rule=released). It selects the noisiest tensors, while a"
        " saliency by the change of the momentum would select the steadiest (option rule=change).",
        "A tensor whose momentum is zero is updated; the release freezes it, or all tensors.",
        "On SST-2, upper is what the release gives for RoBERTa-base. Elsewhere it is the median of"
        " the release's eight settings for GLUE (0.3 to 0.6).",
        *ROSE_DEVIATIONS,
    )
    task_defaults = {"sst2": {"upper": 0.3}}  # noqa: RUF012

    class Options(Selective.Options):
        """Quantiles, optimiser and rule."""

        upper: float = Field(
            0.5,
            gt=0,
            le=1,
            description="Tensors whose saliency lies above this quantile are not updated.",
        )
        rule: SaliencyRule = Field(
            "released",
            description="The saliency: as released, or the relative change of the momentum.",
        )

    options: Options

    def shares(self, optimizer: SelectiveAdamW) -> Tensor:
        """Return 0 or 1 for each tensor, from the saliencies of this step's gradients."""
        return self.mask(optimizer.saliency(self.options.rule))
