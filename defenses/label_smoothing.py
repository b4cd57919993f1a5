"""Label smoothing: fine-tuning towards softened labels."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS


@DEFENSES.register("label-smoothing")
class LabelSmoothing(Defense):
    """Minimise the cross-entropy with softened labels in place of one-hot ones.

    The share ``smoothing`` of each label is spread evenly over all classes. This keeps the logits
    small. It makes the model more robust against some attacks and hides its weakness from others.
    """

    paper = (
        "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016,"
        " Section 7"
    )
    deviations = (
        "The paper smooths the labels of an image classifier that is trained from scratch; here a"
        " text encoder is fine-tuned.",
        *SUITE_DEVIATIONS,
    )
    parallel = True

    class Options(Defense.Options):
        """Options of every defense, and the share of a label that is spread."""

        smoothing: float = Field(0.1, ge=0, lt=1, description="Weight shared among all classes.")

    options: Options

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy with softened labels."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return cross_entropy(logits, batch.labels, label_smoothing=self.options.smoothing)
