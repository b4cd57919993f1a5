"""MixADA: adversarial data augmentation, and mixtures of texts and labels between what is there."""

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
)

PUBLISHED_DEPTH = 12
"""Layers of the encoders that ``layers`` counts in."""


@DEFENSES.register("mixada")
class MixAda(AugmentedDefense):
    """Minimises ``CE + weight CE(mixed)`` on the task's texts and the adversarial ones that ``augmentation`` would add.

    Each text of a batch is mixed with another one of it, ``l`` of the one and ``1 - l`` of the other, where ``l`` is drawn from Beta(alpha, alpha) for the
    whole batch: the states of all tokens that leave one layer (``mix=tmix``) or those of the first token alone (``mix=smix``), and the labels.
    With weight 0 it is ``augmentation``.
    """

    paper = "Si et al., Better Robustness by More Coverage: Adversarial and Mixup Data Augmentation for Robust Finetuning, Findings of ACL 2021"
    deviations = (
        "Losses and defaults are read from the release; they are not checked against the paper, whose text was not at hand.",
        "alpha is that of the release's script for PWWS (2.0); its script for TextFooler has 0.4, its command line 0.2.",
        "Layers are counted in twelfths of the encoder's depth, rounded up, so that 7, 9 and 12 name layers of every encoder.",
        "Both texts of a mixture come from one forward pass; the release makes a second one for the other text, and lets it see the mask of the first.",
        "A mixture's loss is its cross-entropy; the release's KL divergence differs by a constant.",
        *AUGMENTATION_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    class Options(AugmentationOptions):
        """Those of every defense, how texts are made, and how they are mixed."""

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
            description="Layers, of twelve, one of which is drawn for each batch to be mixed behind.",
        )
        weight: float = Field(1.0, ge=0, description="Weight of the mixtures' loss.")

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Find the layers to mix behind, counted from 1."""
        depth = len(model.layers)
        self.layers = [
            ceil(int(layer) * depth / PUBLISHED_DEPTH) for layer in self.options.layers.split(" ")
        ]

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Cross-entropy of the texts and of their mixtures."""
        task = cross_entropy(
            model(batch.input_ids, batch.attention_mask, batch.token_type_ids), batch.labels
        )
        if not self.options.weight:
            self.figures = {"task": task.detach()}
            return task
        # All of this is drawn on the CPU, so that no device's generator decides who is mixed with whom.
        share = float(torch.distributions.Beta(self.options.alpha, self.options.alpha).sample())
        layer = self.layers[int(torch.randint(len(self.layers), ()))]
        others = torch.randperm(len(batch.labels)).to(batch.labels.device)
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
    """Cross-entropy of each text mixed with the ``others``-th of the batch ``(batch,)``, whose share is ``1 - share``, towards the mixed labels."""
    change = partial(mixed_states, others=others, share=share, first_only=first_only)
    features = model.features_changed(
        layer, change, batch.input_ids, batch.attention_mask, batch.token_type_ids
    )
    labels = one_hot(batch.labels, model.classes).float()
    return cross_entropy(model.classify(features), share * labels + (1 - share) * labels[others])


def mixed_states(states: Tensor, others: Tensor, share: float, *, first_only: bool) -> Tensor:
    """``(batch, tokens, size)`` mixed with those of the ``others``; above, each mixture keeps the attention mask of its first text."""
    if not first_only:
        return share * states + (1 - share) * states[others]
    first = share * states[:, :1] + (1 - share) * states[others, :1]
    return torch.cat([first, states[:, 1:]], dim=1)
