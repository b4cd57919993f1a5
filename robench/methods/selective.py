"""What defenses that update only some tensors at each step share: the saliencies, the quantile rule and AdamW under a mask (ROSE, EMNLP 2022).

A mask is one number a tensor, not one an element: 0 freezes it for this step, 1 updates it, what lies between scales its update.
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
    "Weight decay is that of every defense here (none on the encoder); the release has 0.01 on all but biases and LayerNorms.",
    "The update is torch's AdamW: epsilon is added after the bias correction, and the decay comes before the update.",
    "Beside another defense its clipping and its beta2 come along: the control for what the selection does is the same stack with upper at 1.",
    "The release writes all gradients to disk every five steps, a leftover that is left out.",
    "The learning rate rises over the first steps (warmup_fraction) and tensors are selected from the first step on; the release has no warm-up, and would "
    "select nothing during one.",
    "Batch size, epochs and learning rate are those of every defense here; the release has 32, 10 and one of 1e-5 to 1e-4 for each task.",
    "The epoch is chosen on a dev split, by accuracy under the convex-hull attack where there are substitutes; the release keeps the last one.",
)
"""Of every defense that selects tensors, from ROSE's release."""


def selectable(model: TextClassifier) -> dict[str, nn.Parameter]:
    """Tensors that may be frozen for a step: the weights of the encoder's layers, LayerNorm gains included (the release's rule, on names).

    Embeddings, biases, pooler and head are none of them: they are updated at every step. For BERT-base and RoBERTa-base these are 96.
    """
    return {
        name: parameter
        for name, parameter in model.encoder.named_parameters()
        if "layer" in name and "weight" in name and parameter.requires_grad
    }


def quantile_mask(saliency: Tensor, lower: float, upper: float) -> Tensor:
    """1.0 for every tensor whose saliency lies between the two quantiles, both included, else 0.0: ``(tensors,) -> (tensors,)``.

    Quantiles are interpolated linearly over all tensors. One without a saliency (NaN) is kept and does not count.
    """
    known = saliency[~saliency.isnan()]
    if not len(known):
        return torch.ones_like(saliency)
    low, high = torch.quantile(known, lower), torch.quantile(known, upper)
    return ((low <= saliency) & (saliency <= high) | saliency.isnan()).to(saliency.dtype)


def divergence_saliency(
    model: TextClassifier, batch: Batch, tensors: Sequence[Tensor], dropout: float
) -> Tensor:
    """First order: the norm of each tensor's gradient of the divergence between two forward passes with different dropout, ``(tensors,)``.

    The divergence is symmetric, ``(KL(p || q) + KL(q || p)) / 4`` summed over the batch as in the release; only its order matters.

    Args:
        dropout: of the encoder's layers in the two passes.
    """
    with _dropout(model.encoder, dropout):
        first, second = (
            log_softmax(model(batch.input_ids, batch.attention_mask, batch.token_type_ids), -1)
            for _ in range(2)
        )
    apart = kl_div(first, second, reduction="sum", log_target=True) + kl_div(
        second, first, reduction="sum", log_target=True
    )
    gradients = torch.autograd.grad(apart / 4, tensors, allow_unused=True)
    return torch.stack(
        [
            tensor.new_tensor(0.0) if found is None else found.norm()
            for tensor, found in zip(tensors, gradients, strict=True)
        ]
    ).cpu()


def momentum_saliency(
    gradients: Sequence[Tensor | None],
    momenta: Sequence[Tensor | None],
    beta1: float,
    rule: SaliencyRule,
) -> Tensor:
    """Second order: how a tensor's gradient compares with its momentum (Adam's first moment before this step, not bias-corrected), ``(tensors,)``.

    Args:
        rule: ``"released"``, ``|(1 - beta1) ||g|| / ||m|| - 1|``; or ``"change"``, ``(1 - beta1) ||g - m|| / ||m||``, the relative change of
            the momentum that this step would bring.

    Returns:
        NaN where there is no momentum yet.
    """
    known = [
        (gradient, momentum)
        for gradient, momentum in zip(gradients, momenta, strict=True)
        if gradient is not None and momentum is not None
    ]
    there = torch.tensor(
        [
            gradient is not None and momentum is not None
            for gradient, momentum in zip(gradients, momenta, strict=True)
        ]
    )
    saliency = torch.full((len(gradients),), torch.nan)
    if known:
        sizes = torch.stack([momentum.norm() for _, momentum in known])
        moved = torch.stack(
            [
                (gradient if rule == "released" else gradient - momentum).norm()
                for gradient, momentum in known
            ]
        )
        ratios = (1 - beta1) * moved / sizes
        saliency[there] = (
            torch.where(sizes > 0, (ratios - 1).abs() if rule == "released" else ratios, torch.nan)
            .float()
            .cpu()
        )
    return saliency


@contextmanager
def _dropout(module: nn.Module, probability: float) -> Iterator[None]:
    """Dropout of all layers, and of attention where it is a plain number (transformers' fused attention reads ``dropout_prob``)."""
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
    """AdamW that updates each tensor by its share of the mask.

    With share M the gradient is ``M g + (1 - M) m`` and the update is M times what AdamW would do, weight decay included: a frozen tensor
    (M = 0) keeps its value and its first moment, while its second moment and the step counter go on, as in the release. With every share 1
    this is AdamW itself.

    Args:
        groups: parameter groups.
        tensors: those that have a share; all others are updated whole.
        shares: asked at the beginning of each step, gradients being there and clipped: ``(tensors,)`` in [0, 1].
        settings: AdamW's own.
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
        """Adam's first moment of ``tensor``; None before its first step."""
        return self.state[tensor].get("exp_avg") if tensor in self.state else None

    def saliency(self, rule: SaliencyRule) -> Tensor:
        """The second-order saliency of each tensor, as things stand before this step."""
        beta1 = self.param_groups[0]["betas"][0]
        return momentum_saliency(
            [tensor.grad for tensor in self.tensors],
            [self.momentum(tensor) for tensor in self.tensors],
            beta1,
            rule,
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; a ``closure`` is not taken."""
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
    """Base of the defenses that select tensors: a subclass says which share of its update each tensor gets."""

    class Options(TrainingOptions):
        """Quantiles and optimiser; the defaults are ROSE's (its released scripts)."""

        lower: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Tensors whose saliency lies below this quantile are not updated.",
        )
        upper: float = Field(
            0.7,
            gt=0,
            le=1,
            description="Tensors whose saliency lies above this quantile are not updated.",
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
                f"Encoder '{kind}' has no parameter with 'layer' and 'weight' in its name, so there is nothing to select. Choose another encoder."
            )

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> SelectiveAdamW:
        """AdamW under the mask."""
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
        """Share of its update that each of ``self.tensors`` gets in this step, ``(tensors,)`` in [0, 1]."""

    def mask(self, saliency: Tensor) -> Tensor:
        """The mask that the options' quantiles make of saliencies."""
        return quantile_mask(saliency, self.options.lower, self.options.upper)
