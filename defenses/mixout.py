"""Mixout: parameters are replaced at random by their pre-trained values while training."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

from robench import DEFENSES, Defense, TextClassifier
from robench.methods import LOOP_DEVIATIONS, RANDOM_BATCHES_DEVIATION

Noise = Literal["elements", "units"]


class Mixture(nn.Module):
    """A parameter as the mixture of itself and ``target``.

    In train mode it is ``(k w + (1 - k) target - p target) / (1 - p)`` with k ~ Bernoulli(1 - p).
    Its expectation is the parameter. In eval mode it is the parameter itself.

    Args:
        target: the pre-trained parameter.
        probability: p, in [0, 1).
        noise: one k for each element, or one for each input unit of a matrix (the rows share it).
    """

    target: Tensor

    def __init__(self, target: Tensor, probability: float, noise: Noise) -> None:
        super().__init__()
        # The buffer is not saved: a resumed run copies it from the pre-trained encoder again.
        self.register_buffer("target", target, persistent=False)
        self.probability = probability
        self.noise = noise

    def forward(self, weight: Tensor) -> Tensor:
        """Return the mixture, of ``weight``'s shape."""
        if not self.training:
            return weight
        shape = (1, weight.shape[1]) if self.noise == "units" and weight.ndim == 2 else weight.shape
        kept = torch.rand(shape, device=weight.device) >= self.probability
        mixed = torch.where(kept, weight, self.target)
        return (mixed - self.probability * self.target) / (1 - self.probability)


@DEFENSES.register("mixout")
class Mixout(Defense):
    """Replace the encoder's parameters at random by pre-trained ones in every forward pass.

    "At each iteration each parameter is replaced by its pre-trained counter-part with probability
    m" (RIFT paper, Section 3.2). The correction that keeps the expectation is Eq. 4 of the Mixout
    paper. The RIFT paper's Adv-Mixout is ``ascc+mixout``.
    """

    paper = (
        "Lee et al., Mixout: Effective Regularization to Finetune Large-Scale Pretrained Language"
        " Models, ICLR 2020; as in Dong et al., NeurIPS 2021"
    )
    deviations = (
        "Mixout is on: RIFT's release wraps only the outermost module, which has no parameters of"
        " its own, and so trains without it.",
        "Every parameter of the encoder is mixed, element by element, as the RIFT paper says; the"
        " authors' code mixes the weights of linear layers only, with one draw for each input"
        " unit (options layers=linear, noise=units).",
        "Gradients are those of the mixture; the authors' code leaves out their factor"
        " 1 / (1 - p), which hardly matters to Adam but does to clipping and to the share of a"
        " penalty.",
        "Beside ROSE, the passes whose divergence is measured differ by mixout's noise as well as"
        " by dropout.",
        "The encoder's dropout stays as it is, as in RIFT's release; the authors' code switches it"
        " off.",
        RANDOM_BATCHES_DEVIATION,
        *LOOP_DEVIATIONS,
    )

    class Options(Defense.Options):
        """Options of every defense, and which parameters are replaced how often."""

        probability: float = Field(
            0.6,
            ge=0,
            lt=1,
            description="Probability of the pre-trained value (RIFT paper's m); 0 is no mixout.",
        )
        layers: Literal["all", "linear"] = Field(
            "all",
            description="What is mixed: every parameter of the encoder, or the weights of its"
            " linear layers.",
        )
        noise: Noise = Field(
            "elements", description="One draw for each element, or for each input unit of a matrix."
        )

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        """Put the mixtures in place of the parameters."""
        self.mixed = list(self._chosen(model.encoder)) if self.options.probability > 0 else []
        for module, name in self.mixed:
            target = getattr(module, name).detach().clone()
            mixture = Mixture(target, self.options.probability, self.options.noise)
            # Without ``unsafe`` torch would call the mixture at once, which draws random numbers.
            register_parametrization(module, name, mixture, unsafe=True)

    def _chosen(self, encoder: nn.Module) -> list[tuple[nn.Module, str]]:
        """Return the parameters to be mixed, each as its module and its name there."""
        chosen = []
        for module in encoder.modules():
            for name, _ in module.named_parameters(recurse=False):
                is_linear = isinstance(module, nn.Linear) and name == "weight"
                if self.options.layers == "all" or is_linear:
                    chosen.append((module, name))
        return chosen

    def finish(self, model: TextClassifier) -> None:
        """Make the encoder a plain one again, with the weights as trained."""
        for module, name in self.mixed:
            remove_parametrizations(module, name, leave_parametrized=False)
