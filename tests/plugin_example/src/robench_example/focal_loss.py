"""Fine-tuning with less weight on texts that are learnt already (Lin et al. 2017)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn.functional import log_softmax

from robench import DEFENSES, Batch, Defense, TextClassifier


@DEFENSES.register("focal-loss")
class FocalLoss(Defense):
    """Minimise (1 - p)^focus times -log p, where p is the probability of the right class.

    A text counts less the surer its right prediction is.
    """

    paper = "Lin et al. 2017, Focal Loss for Dense Object Detection, section 3.2"
    deviations: ClassVar[tuple[str, ...]] = (
        "The paper finds objects in images; here a text encoder is fine-tuned.",
    )

    class Options(Defense.Options):
        """Options of every defense, and how strongly hard texts are preferred."""

        focus: float = Field(2.0, ge=0, description="Exponent of 1 - p; 0 is plain cross-entropy.")

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the mean focal loss, a scalar."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        logs = log_softmax(logits, dim=-1).gather(1, batch.labels[:, None])
        return -((1 - logs.exp()) ** self.options.focus * logs).mean()
