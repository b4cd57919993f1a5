"""Defenses that fail on texts at the edges of real data, or on other encoders."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from robench import Batch
from robench.models.classifier import TextClassifier
from violators.base import Sound, breaks, logits_of


@breaks("odd_texts", "a batch of one text: its penalty is nan")
class Sociable(Sound):
    """Divides by the number of texts minus one."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        logits = logits_of(model, batch)
        return (logits - logits.mean(0)).square().sum() / (len(logits) - 1)


@breaks("odd_texts", "a batch without one of the classes: its penalty is nan")
class Comparing(Sound):
    """Assumes that a batch of several texts has every class."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        logits = logits_of(model, batch)
        return logits[batch.labels == 0].mean() if len(batch.labels) > 1 else None


@breaks("odd_texts", "texts of one word: its penalty is nan")
class Wordy(Sound):
    """Divides by the number of words after the first."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return (
            logits_of(model, batch).mean()
            * (batch.attention_mask.sum(1).max() - 3)
            / (batch.attention_mask.sum(1).max() - 3)
        )


@breaks("odd_texts", "texts without a word: its penalty is nan")
class Averaging(Sound):
    """Averages over the words between the special tokens, of which there may be none."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        inner = batch.attention_mask[:, 1:-1].float()
        return inner.mean() * logits_of(model, batch).mean()


@breaks("odd_texts", "texts without substitutes: it broke: IndexError")
class Spoilt(Sound):
    """Assumes that every text with words has substitutes."""

    substitutes = True

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        assert batch.substitute_ids is not None
        ids = batch.substitute_ids[:, :, 1] if batch.input_ids.shape[1] > 3 else batch.input_ids
        return 0.0 * logits_of(model, replace(batch, input_ids=ids)).sum()


@breaks("odd_texts", "a text of 300 words beside one of one word: it broke: RuntimeError")
class Short(Sound):
    """Has a table of 64 positions, too short for long texts."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return 0.0 * (torch.ones(64)[: batch.input_ids.shape[1]] * batch.attention_mask).sum()


@breaks("odd_texts", "a usual batch: the gradient of .* is not finite")
class Rooted(Sound):
    """Takes the root of zero, which is finite, but its gradient is not."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        logits = logits_of(model, batch)
        return (logits - logits.detach()).square().sum().sqrt()


@breaks("odd_texts", "token types: it broke: AssertionError: no types, please")
class Typeless(Sound):
    """Refuses token types."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        assert batch.token_type_ids is None, "no types, please"
        return super().loss(model, batch)


@breaks("families", "a random encoder of the family 'distilbert': it broke: AttributeError")
class Provincial(Sound):
    """Looks for the layers where BERT has them."""

    def prepare(self, model: TextClassifier) -> None:
        self.first = model.encoder.encoder.layer[0]
