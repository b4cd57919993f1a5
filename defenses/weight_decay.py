"""Pre-trained weight decay: fine-tuning with a penalty on the distance to the pre-trained weights.

The penalty is the unsquared Euclidean norm.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import LOOP_DEVIATIONS, RANDOM_BATCHES_DEVIATION

SMALLEST = 1e-10
"""Added under the root, as released: at the pre-trained weights the norm has no gradient."""


@DEFENSES.register("weight-decay")
class WeightDecay(Defense):
    """Add ``strength * ||theta - theta_pre||_2`` to the loss of any defense.

    The norm runs over all parameters of the encoder (RIFT paper, Section 3.2). It is not squared,
    so the pull has the same strength at any distance. The RIFT paper's Adv-PTWD is
    ``ascc+weight-decay``.
    """

    paper = (
        "Chelba and Acero, Adaptation of Maximum Entropy Capitalizer: Little Data Can Help a Lot,"
        " 2006; as in Dong et al., NeurIPS 2021, Section 3.2"
    )
    deviations = (
        "The distance is not squared, as in the RIFT paper; Chelba and Acero's Gaussian prior is a"
        " squared one.",
        RANDOM_BATCHES_DEVIATION,
        *LOOP_DEVIATIONS,
    )
    parallel = True
    task_defaults = {  # noqa: RUF012
        "imdb": {"strength": 0.01},
        "snli": {"strength": 0.005},
    }

    class Options(Defense.Options):
        """Options of every defense, and the weight of the distance."""

        strength: float = Field(
            0.01,
            ge=0,
            description="Weight (the paper's lambda) of the distance to the pre-trained weights.",
        )

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Keep a copy of the pre-trained weights."""
        self.pairs = [
            (parameter, parameter.detach().clone())
            for parameter in model.encoder.parameters()
            if parameter.requires_grad
        ]

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the weighted distance."""
        squares = [(parameter - start).square().sum() for parameter, start in self.pairs]
        distance = torch.sqrt(SMALLEST + torch.stack(squares).sum())
        self.figures["distance"] = distance.detach()
        return self.options.strength * distance
