"""MixADA: adversarial data augmentation with mixtures of texts and of their labels."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from robench import DEFENSES, Batch, TextClassifier
from robench.methods import (
    AUGMENTATION_DEVIATIONS,
    SUITE_DEVIATIONS,
    AugmentationOptions,
    AugmentedDefense,
    on_device,
)

PUBLISHED_DEPTH = 12
"""Number of layers of the published encoders, which the option ``layers`` refers to."""


@DEFENSES.register("mixada")
class MixAda(AugmentedDefense):
    """Minimise ``CE + weight CE(mixed)`` on the task's texts and on adversarial ones.

    The adversarial texts are those of ``augmentation``. Each text of a batch is mixed with another
    text of the batch, in the shares ``l`` and ``1 - l``. ``l`` is drawn from Beta(alpha, alpha),
    once for the whole batch. The labels are mixed, and so are the states that leave one layer: of
    all tokens (``mix=tmix``) or of the first token alone (``mix=smix``). With weight 0 it is
    ``augmentation``.
    """

    paper = (
        "Si et al., Better Robustness by More Coverage: Adversarial and Mixup Data Augmentation"
        " for Robust Finetuning, Findings of ACL 2021"
    )
    deviations = (
        "Losses and defaults are read from the release; they are not checked against the paper,"
        " whose text was not at hand.",
        "alpha is that of the release's script for PWWS (2.0); its script for TextFooler has 0.4,"
        " its command line 0.2.",
        "Layers are counted in twelfths of the encoder's depth, rounded up, so that 7, 9 and 12"
        " name layers of every encoder.",
        "Both texts of a mixture come from one forward pass; the release makes a second one for"
        " the other text, and lets it see the mask of the first.",
        "A mixture's loss is its cross-entropy; the release's KL divergence differs by a constant.",
        *AUGMENTATION_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    class Options(AugmentationOptions):
        """Options of every defense, how adversarial texts are made, and how texts are mixed."""

        mix: Literal["tmix", "smix"] = Field(
            "tmix",
            description="Whether the states of all tokens are mixed or the first token's alone.",
        )
        alpha: float = Field(
            2.0, gt=0, description="Both parameters of the Beta distribution of the share."
        )
        layers: str = Field(
            "7 9 12",
            pattern=r"^([1-9]|1[0-2])( ([1-9]|1[0-2]))*$",
            description="Layers, out of twelve; the states are mixed after one of them, which is"
            " drawn for each batch.",
        )
        weight: float = Field(1.0, ge=0, description="Weight of the mixtures' loss.")

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Find the layers after which states are mixed, counted from 1."""
        depth = len(model.layers)
        self.layers = [
            ceil(int(layer) * depth / PUBLISHED_DEPTH) for layer in self.options.layers.split(" ")
        ]

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the cross-entropy of the texts and of their mixtures."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        task = cross_entropy(logits, batch.labels)
        if not self.options.weight:
            self.figures = {"task": task.detach()}
            return task
        # All draws are made on the CPU, so that they do not depend on the device's generator.
        share = float(torch.distributions.Beta(self.options.alpha, self.options.alpha).sample())
        layer = self.layers[int(torch.randint(len(self.layers), ()))]
        others = on_device(torch.randperm(len(batch.labels)), batch.labels.device)
        mixed = mixed_loss(
            model, batch, layer, others, share, first_only=self.options.mix == "smix"
        )
        self.figures = {"task": task.detach(), "mixed": mixed.detach()}
        return task + self.options.weight * mixed


def mixed_loss(
    model: TextClassifier,
    batch: Batch,
    layer: int,
    others: Tensor,
    share: float,
    *,
    first_only: bool,
) -> Tensor:
    """Return the cross-entropy of mixed texts towards their mixed labels.

    Args:
        layer: the layer, counted from 1, after which the states are mixed.
        others: ``(batch,)``: the number in the batch of each text's partner.
        share: the share of the text itself; its partner has ``1 - share``.
        first_only: whether the states of the first token alone are mixed.
    """
    change = partial(mixed_states, others=others, share=share, first_only=first_only)
    features = model.features_changed(
        layer, change, batch.input_ids, batch.attention_mask, batch.token_type_ids
    )
    labels = one_hot(batch.labels, model.classes).float()
    return cross_entropy(model.classify(features), share * labels + (1 - share) * labels[others])


def mixed_states(states: Tensor, others: Tensor, share: float, *, first_only: bool) -> Tensor:
    """Return states ``(batch, tokens, size)`` mixed with those of the ``others``.

    In the layers that follow, each mixture keeps the attention mask of its first text.
    """
    if not first_only:
        return share * states + (1 - share) * states[others]
    first = share * states[:, :1] + (1 - share) * states[others, :1]
    return torch.cat([first, states[:, 1:]], dim=1)
