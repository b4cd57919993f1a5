"""Temperature: fine-tuning with the logits divided by a temperature."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS


@DEFENSES.register("temperature")
class Temperature(Defense):
    """Minimise the cross-entropy of the logits divided by ``temperature``.

    With a temperature above 1 the logits must grow further apart before the loss is content.

    The paper gives the victim the undivided logits. Such a victim is far too sure of itself. That
    misleads attacks that compare probabilities, so it looks more robust than it is. Here the last
    layer is divided by the temperature after training. The victim decides the same, and its
    probabilities are those that were trained. ``undivided`` leaves the logits as they are.
    """

    paper = (
        "Raina et al., Extreme Miscalibration and the Illusion of Adversarial Robustness, ACL 2024,"
        " the training-time temperature scaling"
    )
    deviations = (
        "After training the last layer is divided by the temperature, so the victim's"
        " probabilities are those of training; the paper's victim has temperature 1 at test time"
        " (option undivided).",
        "The temperature is this benchmark's choice: the paper compares several.",
        "The paper scales adversarial training too; here the loss is that of clean texts, and terms"
        " of other defenses can be joined (smart+temperature).",
        "TTSO++ (Wang and Lin, COLING 2025), which adapts the temperature by the entropy of each"
        " prediction, is not implemented: its formula could not be checked against the paper or a"
        " release.",
        *SUITE_DEVIATIONS,
    )
    parallel = True

    class Options(Defense.Options):
        """Options of every defense, and the temperature."""

        temperature: float = Field(
            5.0, gt=0, description="Divisor of the logits in training; 1 is plain fine-tuning."
        )
        undivided: bool = Field(
            False,
            description="Whether the victim keeps the undivided logits, as in the paper. They are"
            " too sure by the factor of the temperature.",
        )

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy of the divided logits."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return cross_entropy(logits / self.options.temperature, batch.labels)

    def finish(self, model: TextClassifier) -> None:
        """Divide the last layer by the temperature, unless the option forbids it."""
        if not self.options.undivided:
            with torch.no_grad():
                for parameter in model.head[-1].parameters():
                    parameter.div_(self.options.temperature)
