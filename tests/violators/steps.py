"""Defenses that break a promise in a single step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench import Batch
from robench.models.classifier import TextClassifier
from violators.base import Sound, breaks, logits_of


@breaks("loss", r"12 steps on one batch of 2 classes take its loss from 0\.\d+ to 1\.\d+")
class Climbing(Sound):
    """Returns the value of the loss with a gradient that points uphill."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        value = super().loss(model, batch)
        return 2 * value.detach() - value


@breaks("loss", r"its loss is no scalar but of shape \(6,\)")
class Unreduced(Sound):
    """Returns a loss for each text."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), batch.labels, reduction="none")


@breaks("loss", r"its penalty is no scalar but of shape \(1,\)")
class Nearly(Sound):
    """Returns a penalty that is a vector of one entry."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return torch.zeros(1)


@breaks("loss", "its loss is nan")
class Undefined(Sound):
    """Returns NaN as its loss."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * torch.nan


@breaks("loss", r"its loss is of torch\.float64, not of torch\.float32")
class Double(Sound):
    """Returns its loss in double precision."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch).double()


@breaks("loss", r"before_loss leaves a gradient in encoder\.embeddings.*use torch\.autograd\.grad")
class Littering(Sound):
    """Calls backward in before_loss."""

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        super().loss(model, batch).backward()


@breaks("loss", "its hooks change the batch's labels in place")
class Relabelling(Sound):
    """Changes the labels of the batch in place."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        batch.labels[0] = 1 - batch.labels[0].clamp(max=1)
        return super().loss(model, batch)


@breaks("loss", "its hooks leave the model in eval mode")
class Sleeping(Sound):
    """Puts the model into eval mode and leaves it there."""

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        model.encoder.eval()


@breaks("loss", "figure 'task' is no detached scalar")
class Holding(Sound):
    """Keeps a figure with its graph."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.figures["task"] = super().loss(model, batch)
        return self.figures["task"]


@breaks(
    "loss", "steps with 2 classes: it broke: ValueError: the batch carries no substitution sets"
)
class Unasked(Sound):
    """Uses substitutes that it does not ask for."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        from robench.models.convex_hull import maximise

        maximise(model, batch)
        return super().loss(model, batch)


@breaks("loss", r"prepare\(\): it broke: IndexError: .*\(head\)")
class Reaching(Sound):
    """Looks for a layer that does not exist."""

    def prepare(self, model: TextClassifier) -> None:
        raise IndexError(f"no layer {len(model.head)} (head)")


@breaks("gradients", r"its loss does not reach encoder\.embeddings.* more: freeze in prepare")
class Detached(Sound):
    """Trains the head alone and does not freeze the encoder."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(
            model.classify(model.features(batch.input_ids, batch.attention_mask).detach()),
            batch.labels,
        )


@breaks("reduced_precision", "a step in bf16 leaves encoder.* without a finite gradient")
class Hairsplitting(Sound):
    """Takes the root of a difference that is 0 in the three digits of bf16."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return (features - features * (1 + 1e-4)).float().square().sum().sqrt()


@breaks("reduced_precision", "a step in bf16: it broke: TypeError: .*BFloat16")
class Leaving(Sound):
    """Converts features to numpy, which has no bf16."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return 0.0 * torch.tensor(np.linalg.norm(features.detach().numpy()))


@breaks("reduced_precision", r"a step in bf16: its loss is of torch\.bfloat16")
class Rounding(Sound):
    """Takes its loss from features, which are bf16 under autocast."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return model.head(features)[torch.arange(len(batch.labels)), batch.labels].mean().neg()  # type: ignore[no-any-return]
