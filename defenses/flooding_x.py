"""Flooding-X: the loss is kept at a level that the gradients of the training itself choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, TextClassifier
from robench.methods import SUITE_DEVIATIONS, evaluating

if TYPE_CHECKING:
    import numpy as np


@DEFENSES.register("flooding-x")
class FloodingX(Defense):
    """Minimise ``|CE - b| + b``: below the flood level b the loss is raised again.

    The level follows from the gradient accordance. At each step the batch is split into parts. The
    accordance is the mean cosine between the gradients of two parts. While it is positive, a step
    for one part helps the others. When its mean over an epoch is no longer above ``accordance``,
    the model begins to memorise. The mean loss of that epoch becomes b for all later epochs. Until
    then the training is plain fine-tuning.

    On texts that the model can separate the accordance stays positive, because every gradient
    enlarges the logits. So the level is set after the epoch ``latest`` in any case.
    """

    paper = (
        "Liu et al., Flooding-X: Improving BERT's Resistance to Adversarial Attacks via"
        " Loss-Restricted Fine-Tuning, ACL 2022; flooding is Ishida et al., ICML 2020"
    )
    deviations = (
        "The release has no code of the criterion: its scripts set the level by hand (0.1 and 0.2"
        " for SST-2; option level). The criterion here follows the paper's idea and could not be"
        " compared with code.",
        "The accordance is measured between the parts of one batch, over all examples; the paper"
        " averages over pairs of batches and classes.",
        "The gradients of the accordance are taken in eval mode and fp32, so that the training up"
        " to the flood is exactly plain fine-tuning.",
        "The level holds from the epoch after its measurement in the same run; the paper finds it"
        " first and then trains with it.",
        "If the accordance stays above its bound, the level is the mean loss of epoch latest; that"
        " rule is this benchmark's. Its levels are of the size of those in the release's scripts.",
        *SUITE_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Options of every defense, and where the level comes from."""

        level: float | None = Field(
            None,
            ge=0,
            description="Flood level b of the mean cross-entropy, from the first step on; not given"
            " means that the criterion finds it.",
            json_schema_extra={"unit": "nats"},
        )
        parts: int = Field(
            4,
            ge=2,
            le=64,
            description="Parts of a batch whose gradients are compared.",
            json_schema_extra={"unit": "parts"},
        )
        accordance: float = Field(
            0.0,
            ge=-1,
            le=1,
            description="The level is set after the first epoch whose mean accordance is not above"
            " this.",
        )

        latest: int = Field(
            2,
            ge=1,
            description="The level is set after this epoch at the latest.",
            json_schema_extra={"unit": "epochs"},
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.flood = Flood(self.options.level)
        self._measures = self.options.level is None

    def modules(self) -> Iterable[nn.Module]:
        """Return the level and the sums of the epoch, which a resumed run continues."""
        return (self.flood,)

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]] | None:
        """Close the epoch before: set the level if it is time. The batches are the loop's own."""
        self.flood.close_epoch(self.options.accordance, self.options.latest)
        self._measures = not self.flood.is_set
        return None

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Measure the accordance of the parts of the batch, as long as no level is set."""
        self.figures = {}
        if self._measures and len(batch.labels) > 1:
            found = self._accordance(model, batch)
            self.flood.accordance += found
            self.flood.measured += 1
            self.figures["accordance"] = found

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy, flooded once the level is set."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        task = cross_entropy(logits, batch.labels)
        self.figures["task"] = task.detach()
        if self._measures:
            self.flood.loss += task.detach()
            self.flood.steps += 1
            return task
        level = self.flood.level
        self.figures["flood_level"] = level.clone()
        return (task - level).abs() + level

    def _accordance(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the mean cosine between the gradients of the parts of ``batch``, a scalar."""
        count = min(self.options.parts, len(batch.labels))
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        device = batch.labels.device.type
        gradients = []
        with evaluating(model), torch.autocast(device, enabled=False):
            for index in range(count):
                part = batch.share(index, count)
                logits = model(part.input_ids, part.attention_mask, part.token_type_ids)
                error = cross_entropy(logits, part.labels)
                found = torch.autograd.grad(error, weights, allow_unused=True)
                gradients.append([each for each in found if each is not None])
        return mean_cosine(gradients)


class Flood(nn.Module):
    """The flood level, and what the current epoch has measured so far.

    Attributes:
        level: b, NaN while it is not set.
        accordance, measured: sum over the steps that measured it, and their number.
        loss, steps: sum of the cross-entropy over the steps, and their number.
        epochs: epochs that are closed.
    """

    level: Tensor
    accordance: Tensor
    measured: Tensor
    loss: Tensor
    steps: Tensor
    epochs: Tensor

    def __init__(self, level: float | None) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(torch.nan if level is None else level))
        for name in ("accordance", "measured", "loss", "steps", "epochs"):
            self.register_buffer(name, torch.zeros(()))

    @property
    def is_set(self) -> bool:
        """Whether there is a level."""
        return not bool(self.level.isnan())

    def close_epoch(self, bound: float, latest: int) -> None:
        """Set the level to the epoch's mean loss if it is time, and begin the sums anew.

        A level that is set stays. Before the first epoch nothing happens.

        Args:
            bound: it is time if the mean accordance is not above it.
            latest: it is time after this epoch in any case.
        """
        if self.steps > 0:
            self.epochs += 1
            disagree = self.measured > 0 and self.accordance / self.measured <= bound
            if not self.is_set and (disagree or self.epochs >= latest):
                self.level.copy_(self.loss / self.steps)
        for total in (self.accordance, self.measured, self.loss, self.steps):
            total.zero_()


def mean_cosine(gradients: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the mean cosine over all pairs of gradients, a scalar; 0 for a gradient of zeros.

    Args:
        gradients: for each of at least two parts, its gradients as tensors of any shape.
    """
    count = len(gradients)
    products = gradients[0][0].new_zeros((count, count))
    for same in zip(*gradients, strict=True):
        flat = torch.stack([part.flatten() for part in same])
        products += flat @ flat.T
    norms = products.diagonal().sqrt()
    cosines = products / torch.outer(norms, norms).clamp_min(1e-30)
    return (cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1))
