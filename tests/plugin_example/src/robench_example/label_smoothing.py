"""Fine-tuning towards softened labels (Szegedy et al. 2016)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense
from robench.victims.classifier import TextClassifier


@DEFENSES.register("label-smoothing")
class LabelSmoothing(Defense):
    """Fine-tuning towards softened labels: the true class gets 1 - smoothing of the weight, all classes share the rest."""

    paper = "Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, section 7"
    deviations: ClassVar[tuple[str, ...]] = ("The paper smooths the labels of an image classifier trained from scratch; here a text encoder is fine-tuned.",)

    class Options(Defense.Options):
        """Those of every defense, and how soft the labels are."""

        smoothing: float = Field(0.1, ge=0, lt=1, description="Weight shared among all classes.")

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Cross-entropy with softened labels, a scalar."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return cross_entropy(logits, batch.labels, label_smoothing=self.options.smoothing)
