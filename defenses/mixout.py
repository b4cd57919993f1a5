"""Mixout: in every forward pass of training each parameter is, by chance, its pre-trained self."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

from robench import DEFENSES, Defense, TextClassifier
from robench.methods import LOOP_DEVIATIONS

Noise = Literal["elements", "units"]


class Mixture(nn.Module):
    """A parameter as the mixture of itself and ``target``: in train mode ``(k w + (1 - k) target - p target) / (1 - p)``, k ~ Bernoulli(1 - p).

    Its expectation is the parameter. In eval mode it is the parameter itself.

    Args:
        target: the pre-trained parameter.
        probability: p, in [0, 1).
        noise: one k for each element, or one for each input unit of a matrix (the rows share it).
    """

    target: Tensor

    def __init__(self, target: Tensor, probability: float, noise: Noise) -> None:
        super().__init__()
        self.register_buffer(
            "target", target, persistent=False
        )  # drawn from the pre-trained encoder again when a run is resumed
        self.probability = probability
        self.noise = noise

    def forward(self, weight: Tensor) -> Tensor:
        """The mixture, of ``weight``'s shape."""
        if not self.training:
            return weight
        shape = (1, weight.shape[1]) if self.noise == "units" and weight.ndim == 2 else weight.shape
        kept = torch.rand(shape, device=weight.device) >= self.probability
        return (torch.where(kept, weight, self.target) - self.probability * self.target) / (
            1 - self.probability
        )


@DEFENSES.register("mixout")
class Mixout(Defense):
    """Fine-tuning with the encoder's parameters replaced at random by the pre-trained ones, anew in every forward pass.

    "At each iteration each parameter is replaced by its pre-trained counter-part with probability m" (RIFT paper, Section 3.2), with the
    correction that keeps the expectation (Mixout paper, Eq. 4). The RIFT paper's Adv-Mixout is ``ascc+mixout``.
    """

    paper = "Lee et al., Mixout: Effective Regularization to Finetune Large-Scale Pretrained Language Models, ICLR 2020; as in Dong et al., NeurIPS 2021"
    deviations = (
        "Mixout is on: RIFT's release wraps only the outermost module, which has no parameters of its own, and so trains without it.",
        "Every parameter of the encoder is mixed, element by element, as the RIFT paper says; the authors' code mixes the weights of linear layers only, "
        "with one toss for each input unit (options layers=linear, noise=units).",
        "Gradients are those of the mixture; the authors' code leaves out their factor 1 / (1 - p): Adam hardly notices it, but clipping and "
        "the share of a penalty do.",
        "Beside ROSE, the passes whose divergence is measured differ by mixout's noise as well as by dropout.",
        "The encoder's dropout stays as it is, as in RIFT's release; the authors' code switches it off.",
        *LOOP_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Those of every defense, and what is replaced how often."""

        probability: float = Field(
            0.6,
            ge=0,
            lt=1,
            description="Chance of the pre-trained value (the RIFT paper's m); 0 is no mixout.",
        )
        layers: Literal["all", "linear"] = Field(
            "all",
            description="What is mixed: every parameter of the encoder, or the weights of its linear layers.",
        )
        noise: Noise = Field(
            "elements", description="One toss for each element, or for each input unit of a matrix."
        )

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Put the mixtures in place of the parameters."""
        self.mixed = list(self._chosen(model.encoder)) if self.options.probability > 0 else []
        for module, name in self.mixed:
            mixture = Mixture(
                getattr(module, name).detach().clone(), self.options.probability, self.options.noise
            )
            register_parametrization(
                module, name, mixture, unsafe=True
            )  # else it is tried at once, and draws random numbers

    def _chosen(self, encoder: nn.Module) -> list[tuple[nn.Module, str]]:
        owned = [
            (module, name)
            for module in encoder.modules()
            for name, _ in module.named_parameters(recurse=False)
        ]
        return (
            owned
            if self.options.layers == "all"
            else [
                (module, name)
                for module, name in owned
                if isinstance(module, nn.Linear) and name == "weight"
            ]
        )

    def finish(self, model: TextClassifier) -> None:
        """Make the encoder a plain one again, with the weights as trained."""
        for module, name in self.mixed:
            remove_parametrizations(module, name, leave_parametrized=False)
