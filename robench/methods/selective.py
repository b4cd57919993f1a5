"""Defenses that update only some tensors in each step (ROSE, EMNLP 2022).

This module has the saliencies, the quantile rule and AdamW under a mask. A mask has one number for
each tensor, not for each element: 0 freezes the tensor in this step, 1 updates it, and a number
between scales its update.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from robench._base.errors import UsageError
from robench.plugins.options import TrainingOptions
from robench.training.defense import Defense
from robench.training.setup import ADAM_EPSILON

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier

BETA1 = 0.9

SaliencyRule = Literal["released", "change"]

ROSE_DEVIATIONS = (
    "Weight decay is that of every defense here (none on the encoder). The release has 0.01 on all "
    "but biases and LayerNorms.",
    "The update is torch's AdamW: epsilon is added after the bias correction, and the decay comes "
    "before the update.",
    "In a joint defense its gradient clipping and its beta2 apply too. To measure the selection "
    "alone, compare with the same joint defense with upper at 1.",
    "The release writes all gradients to disk every five steps. This leftover is not reproduced.",
    "The learning rate rises over the first steps (warmup_fraction), and tensors are selected from "
    "the first step on. The release has no warm-up, and would select nothing during one.",
    "Batch size, epochs and learning rate are those of every defense here. The release has 32, 10 "
    "and a rate of 1e-5 to 1e-4 for each task.",
    "The kept epoch is the most robust on dev among those whose clean accuracy is as good as the "
    "best. The release keeps the last epoch (option select=last).",
    "Dev comes from train or an official dev file; at most 1,000 of its examples select the epoch.",
    "Training is in fp32, or with --precision bf16 in bf16 autocast. The release uses fp16, and "
    "takes saliencies from a loss that is not scaled, so that small ones can become 0.",
    "The head is that of every defense here: two layers on the encoder's pooler output. The "
    "release has transformers' RoBERTa head.",
    "The release's tasks are those of GLUE, with 128 tokens of text. Of the tasks here, only SST-2 "
    "has published settings, and the window is the task's.",
    "Batches hold texts of similar length (sorted within windows of 32 batches), and saliencies "
    "are measured on them. The release draws its batches at random.",
    "Under the protocol rift2021 a word is one token, so an unknown word is the unknown token. The "
    "release reads pieces of words, as the protocol subword does.",
)
"""Where every defense that selects tensors departs from ROSE's release."""


def selectable(model: TextClassifier) -> dict[str, nn.Parameter]:
    """Return the tensors that may be frozen for a step, by name.

    They are the weights of the encoder's layers, LayerNorm gains included; the release selects
    them by name in the same way. BERT-base and RoBERTa-base have 96. Embeddings, biases, pooler
    and head are not among them, so they are updated in every step.
    """
    return {
        name: parameter
        for name, parameter in model.encoder.named_parameters()
        if "layer" in name and "weight" in name and parameter.requires_grad
    }


def quantile_mask(saliency: Tensor, lower: float, upper: float) -> Tensor:
    """Return 1.0 for every tensor whose saliency is between two quantiles, and 0.0 for others.

    Both quantiles are included. They are interpolated linearly over all tensors. A tensor without
    a saliency (NaN) gets 1.0 and is not counted.

    Args:
        saliency: ``(tensors,)``.
        lower: in [0, 1], the lower quantile.
        upper: in [0, 1], the upper quantile.

    Returns:
        ``(tensors,)``.
    """
    known = saliency[~saliency.isnan()]
    if not len(known):
        return torch.ones_like(saliency)
    low, high = torch.quantile(known, lower), torch.quantile(known, upper)
    return ((low <= saliency) & (saliency <= high) | saliency.isnan()).to(saliency.dtype)


def divergence_saliency(
    model: TextClassifier, batch: Batch, tensors: Sequence[Tensor], dropout: float
) -> Tensor:
    """Return ROSE's first-order saliency of each tensor, ``(tensors,)``.

    It is the norm of the gradient of the divergence between two forward passes with different
    dropout. The divergence is ``(KL(p || q) + KL(q || p)) / 4``, summed over the batch as in the
    release. Only the order of the saliencies matters.

    Args:
        model: the model under training.
        batch: the texts to measure on.
        tensors: the tensors whose saliency is measured.
        dropout: probability in the encoder's layers during the two passes.
    """
    with _dropout(model.encoder, dropout):
        first, second = (
            log_softmax(model(batch.input_ids, batch.attention_mask, batch.token_type_ids), -1)
            for _ in range(2)
        )
    # Not ``divergence``: the sum over the batch divided by four, as in the release, differs from a
    # multiple of the mean in the last bits.
    apart = kl_div(first, second, reduction="sum", log_target=True) + kl_div(
        second, first, reduction="sum", log_target=True
    )
    gradients = torch.autograd.grad(apart / 4, tensors, allow_unused=True)
    norms = []
    for tensor, gradient in zip(tensors, gradients, strict=True):
        norms.append(tensor.new_tensor(0.0) if gradient is None else gradient.norm())
    return torch.stack(norms).cpu()


def momentum_saliency(
    gradients: Sequence[Tensor | None],
    momenta: Sequence[Tensor | None],
    beta1: float,
    rule: SaliencyRule,
) -> Tensor:
    """Return ROSE's second-order saliency of each tensor, ``(tensors,)``.

    It compares a tensor's gradient with its momentum.

    Args:
        gradients: of the tensors.
        momenta: Adam's first moments before this step, without bias correction.
        beta1: Adam's decay of the first moment.
        rule: ``"released"`` is ``|(1 - beta1) ||g|| / ||m|| - 1|``. ``"change"`` is
            ``(1 - beta1) ||g - m|| / ||m||``, the relative change of the momentum in this step.

    Returns:
        Saliencies; NaN where there is no momentum yet.
    """
    saliency = torch.full((len(gradients),), torch.nan)
    where, sizes, moved = [], [], []
    for index, (gradient, momentum) in enumerate(zip(gradients, momenta, strict=True)):
        if gradient is None or momentum is None:
            continue
        where.append(index)
        sizes.append(momentum.norm())
        moved.append((gradient if rule == "released" else gradient - momentum).norm())
    if where:
        # Stacked, so that a GPU is waited for only once.
        norms = torch.stack(sizes)
        ratios = (1 - beta1) * torch.stack(moved) / norms
        found = (ratios - 1).abs() if rule == "released" else ratios
        saliency[where] = torch.where(norms > 0, found, torch.nan).float().cpu()
    return saliency


@contextmanager
def _dropout(module: nn.Module, probability: float) -> Iterator[None]:
    """Set the dropout probability of all layers while the block runs.

    It includes attention where its probability is a number: transformers' fused attention reads
    ``dropout_prob``.
    """
    places: list[tuple[nn.Module, str]] = [
        (layer, "p") for layer in module.modules() if isinstance(layer, nn.Dropout)
    ]
    places += [
        (layer, "dropout_prob")
        for layer in module.modules()
        if isinstance(getattr(layer, "dropout_prob", None), (int, float))
    ]
    usual = [getattr(layer, name) for layer, name in places]
    for layer, name in places:
        setattr(layer, name, probability)
    try:
        yield
    finally:
        for (layer, name), value in zip(places, usual, strict=True):
            setattr(layer, name, value)


class SelectiveAdamW(torch.optim.AdamW):
    """AdamW that scales each tensor's update by a share.

    With share M, the gradient is ``M g + (1 - M) m`` and the update is M times AdamW's update,
    weight decay included. A frozen tensor (M = 0) keeps its value and its first moment. Its second
    moment and step counter still change, as in the release. With all shares 1 this is AdamW.

    Args:
        groups: parameter groups.
        tensors: the tensors that have a share; all others get their full update.
        shares: called at the start of each step, after gradients were computed and clipped; it
            returns ``(tensors,)`` in [0, 1].
        settings: AdamW's own settings.
    """

    def __init__(
        self,
        groups: Iterable[Mapping[str, Any]],
        tensors: Sequence[nn.Parameter],
        shares: Callable[[SelectiveAdamW], Tensor],
        **settings: Any,
    ) -> None:
        super().__init__([dict(group) for group in groups], **settings)
        self.tensors = tensors
        self._shares = shares

    def momentum(self, tensor: nn.Parameter) -> Tensor | None:
        """Return Adam's first moment of ``tensor``; None before its first step."""
        return self.state[tensor].get("exp_avg") if tensor in self.state else None

    def saliency(self, rule: SaliencyRule) -> Tensor:
        """Return the second-order saliency of each tensor before this step."""
        beta1 = self.param_groups[0]["betas"][0]
        return momentum_saliency(
            [tensor.grad for tensor in self.tensors],
            [self.momentum(tensor) for tensor in self.tensors],
            beta1,
            rule,
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step; ``closure`` is ignored."""
        held: list[tuple[nn.Parameter, Tensor, float]] = []
        for tensor, share in zip(self.tensors, self._shares(self).tolist(), strict=True):
            if share < 1 and tensor.grad is not None:
                momentum = self.momentum(tensor)
                tensor.grad = torch.lerp(
                    torch.zeros_like(tensor.grad) if momentum is None else momentum,
                    tensor.grad,
                    share,
                )
                held.append((tensor, tensor.detach().clone(), share))
        super().step()
        for tensor, before, share in held:
            tensor.copy_(torch.lerp(before, tensor, share))


class Selective(Defense):
    """Base of the defenses that select tensors.

    A subclass says which share of its update each tensor gets.
    """

    class Options(TrainingOptions):
        """Quantiles and optimizer settings; the defaults are those of ROSE's released scripts."""

        lower: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Tensors whose saliency is below this quantile are not updated.",
        )
        upper: float = Field(
            0.7,
            gt=0,
            le=1,
            description="Tensors whose saliency is above this quantile are not updated.",
        )
        beta2: float = Field(0.98, ge=0, lt=1, description="AdamW's decay of the second moment.")
        max_gradient_norm: float | None = Field(
            1.0,
            gt=0,
            description="Clip the global gradient norm here, before tensors are selected.",
        )

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Find the tensors that may be frozen.

        Raises:
            UsageError: the encoder has none.
        """
        self.tensors = list(selectable(model).values())
        if not self.tensors:
            kind = type(model.encoder).__name__
            raise UsageError(
                f"Encoder '{kind}' has no parameter with 'layer' and 'weight' in its name, so "
                "there is nothing to select. Choose another encoder."
            )

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> SelectiveAdamW:
        """Return AdamW under the mask."""
        return SelectiveAdamW(
            groups,
            self.tensors,
            self.shares,
            betas=(BETA1, self.options.beta2),
            eps=ADAM_EPSILON,
            fused=True,
        )

    @abstractmethod
    def shares(self, optimizer: SelectiveAdamW) -> Tensor:
        """Return the share of its update that each of ``self.tensors`` gets in this step.

        Returns:
            ``(tensors,)`` in [0, 1].
        """

    def mask(self, saliency: Tensor) -> Tensor:
        """Return the mask of saliencies by the quantiles in the options."""
        return quantile_mask(saliency, self.options.lower, self.options.upper)
