"""The parts of a classifier that bounds go through: embedding, layers, feature and head."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu as exact_gelu

from robench._base.errors import UsageError
from robench.certification import affine
from robench.certification.affine import Enclosed
from robench.certification.relaxations import (
    Relaxation,
    exponential,
    gelu,
    inverse_root,
    reciprocal,
    relu,
    square,
    tanh,
)

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier

SLACK = 1e-4
"""Share of the last layer's size by which a bound must exceed 0.

Bounds are computed in float64, and the victim answers in float32. Its logits then differ by a few
millionths of the sizes that the last layer adds up. The rounding of the bounds is covered as well:
it is about 1e9 times finer, and two layers of bounds make it about 1e10 times larger, which
is a few millionths again.
"""


@dataclass(frozen=True)
class _Layer:
    """One layer after the residual connections of BERT: attention, then two linear layers."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    mixed: nn.Linear
    first_norm: nn.LayerNorm
    wide: nn.Linear
    activation: Relaxation
    narrow: nn.Linear
    second_norm: nn.LayerNorm
    heads: int


class Network:
    """A classifier in float64, through which ranges are propagated.

    Args:
        model: of the family of BERT, RoBERTa, ELECTRA or DistilBERT. It is copied.

    Attributes:
        heads: attention heads of a layer.
        widest: width of the widest linear layer.
        device: the device of the model.

    Raises:
        UsageError: the encoder is built in another way.
    """

    def __init__(self, model: TextClassifier) -> None:
        name = type(model.encoder).__name__
        self.model = deepcopy(model).double().eval()
        encoder = self.model.encoder
        layers = _layers(encoder)
        if not layers:
            raise UsageError(
                f"Interval bounds know the layers of BERT, RoBERTa, ELECTRA and DistilBERT, and "
                f"'{name}' is built in another way. Use --method smoothing, which needs no layers."
            )
        self._layers = layers
        self._projection: nn.Linear | None = getattr(encoder, "embeddings_project", None)
        pooler = getattr(encoder, "pooler", None)
        self._pooler: nn.Linear | None = None if pooler is None else pooler.dense

        self.heads = layers[0].heads
        self.widest = max(layer.wide.out_features for layer in layers)
        self.device = next(self.model.parameters()).device

    @torch.no_grad()
    def embedded(self, ids: Tensor, types: Tensor | None) -> Tensor:
        """Return the outputs of the embedding layer ``(rows, tokens, size)`` in float64."""
        return self.model.embed(ids, types)

    @torch.no_grad()
    def logits(self, embedded: Tensor) -> Tensor:
        """Return the logits ``(rows, classes)`` of embedding outputs, by the model's own code."""
        mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=embedded.device)
        # ``classify`` would round to float32.
        logits: Tensor = self.model.head(self.model.features_from_embeddings(embedded, mask))
        return logits

    @torch.no_grad()
    def margins(self, x: Enclosed, label: int) -> tuple[Enclosed, Tensor]:
        """Enclose the margins: the logit of ``label`` minus each other logit.

        Args:
            x: outputs of the embedding layer, ``(batch, tokens, size)``.
            label: the true label.

        Returns:
            The margins ``(batch, classes - 1)``, and how far above 0 they must lie because of
            rounding, ``(batch, classes - 1)``.
        """
        if self._projection is not None:
            x = _linear(x, self._projection)
        for layer in self._layers[:-1]:
            x = _through(layer, x, x)
        x = _through(self._layers[-1], x.at(slice(0, 1)), x)
        if self._pooler is not None:
            x = affine.apply(_linear(x, self._pooler), tanh)
        head: Any = self.model.head
        first, _, last = head
        hidden = affine.apply(_linear(x, first), relu).reshaped((first.out_features,), (0,))
        others = [each for each in range(last.out_features) if each != label]
        weight = last.weight[label] - last.weight[others]
        bias = last.bias[label] - last.bias[others]
        sizes = torch.maximum(hidden.low.abs(), hidden.high.abs())
        either = last.weight[label].abs() + last.weight[others].abs()
        return affine.linear(hidden, weight, bias), SLACK * (sizes @ either.T)


def _linear(x: Enclosed, layer: nn.Linear) -> Enclosed:
    return affine.linear(x, layer.weight, layer.bias)


def _norm(x: Enclosed, layer: nn.LayerNorm) -> Enclosed:
    """Enclose LayerNorm."""
    y = affine.centred(x)
    size = y.centre.shape[-1]
    variance = affine.shift(
        affine.total(affine.apply(y, square), 1 / size), torch.full_like(y.low[..., :1], layer.eps)
    )
    # A variance is never negative, whatever its bounds say.
    least = torch.full_like(variance.low, layer.eps)
    variance = variance.within(least, torch.full_like(least, torch.inf))
    inverse = affine.apply(variance, inverse_root)
    letters = "tn"
    normed = affine.multiply(y, inverse, f"{letters},to->tn")
    # No entry of a vector of mean 0 is more than sqrt(size - 1) times its standard deviation.
    most = torch.full_like(normed.low, float(size - 1) ** 0.5)
    return affine.shift(affine.scale(normed.within(-most, most), layer.weight), layer.bias)


def _through(layer: _Layer, own: Enclosed, states: Enclosed) -> Enclosed:
    """Enclose one layer's output for the tokens ``own`` among all tokens ``states``."""
    mixed = _linear(_attention(layer, own, states), layer.mixed)
    middle = _norm(affine.add(mixed, own), layer.first_norm)
    wide = affine.apply(_linear(middle, layer.wide), layer.activation)
    return _norm(affine.add(_linear(wide, layer.narrow), middle), layer.second_norm)


def _attention(layer: _Layer, own: Enclosed, states: Enclosed) -> Enclosed:
    """Enclose the attended values of all heads, side by side."""
    size = layer.query.out_features // layer.heads

    def heads(x: Enclosed) -> Enclosed:
        return x.reshaped((x.centre.shape[1], layer.heads, size), (1, 0, 2))

    query, key = heads(_linear(own, layer.query)), heads(_linear(states, layer.key))
    value = heads(_linear(states, layer.value))
    scaled = affine.scale(query, torch.full_like(query.low[0, 0, 0], size**-0.5))
    shares = _softmax(affine.multiply(scaled, key, "htd,hud->htu"))
    # The shares sum to 1, so a constant that is subtracted from all values comes back unchanged.
    # Small values make the errors of the shares small.
    usual = value.middle.mean(2, keepdim=True)
    attended = affine.multiply(shares, affine.shift(value, -usual), "htu,hud->htd")
    attended = affine.shift(attended, usual)
    tokens = own.centre.shape[1]
    return attended.reshaped((layer.heads, tokens, size), (1, 0, 2)).reshaped(
        (tokens, layer.heads * size), (0, 1)
    )


def _softmax(scores: Enclosed) -> Enclosed:
    """Enclose the softmax over the last axis."""
    # A constant that is subtracted from all scores changes nothing and avoids overflow.
    powers = affine.apply(affine.shift(scores, -scores.high.amax(-1, keepdim=True)), exponential)
    shares = affine.multiply(powers, affine.apply(affine.total(powers), reciprocal), "htu,hto->htu")
    others_low = powers.low.sum(-1, keepdim=True) - powers.low
    others_high = powers.high.sum(-1, keepdim=True) - powers.high
    return shares.within(
        powers.low / (powers.low + others_high), powers.high / (powers.high + others_low)
    )


def _layers(encoder: Any) -> list[_Layer]:
    """Return the encoder's layers, or nothing where they are of another kind."""
    from robench.models.first_token import layers_of

    found = [_layer(each) for each in layers_of(encoder) or ()]
    return [each for each in found if each is not None] if None not in found else []


_BERT = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "intermediate.intermediate_act_fn",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT = (
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.activation",
    "ffn.lin2",
    "output_layer_norm",
)


def _layer(module: nn.Module) -> _Layer | None:
    """Return the parts of a layer, or None where it has others."""
    for names in (_BERT, _DISTILBERT):
        parts: list[Any] = [_part(module, name) for name in names]
        if any(part is None for part in parts):
            continue
        query, key, value, mixed, first, wide, activation, narrow, second = parts
        relaxation = _relaxation(activation)
        own: Any = module
        attention = own.attention.self if names is _BERT else own.attention
        heads = getattr(attention, "num_attention_heads", None) or attention.n_heads
        if relaxation is None:
            return None
        return _Layer(query, key, value, mixed, first, wide, relaxation, narrow, second, int(heads))
    return None


def _part(module: Any, name: str) -> Any:
    for each in name.split("."):
        module = getattr(module, each, None)
    return module


def _relaxation(activation: Any) -> Relaxation | None:
    """Return the relaxation of an activation, found by its values."""
    points = torch.linspace(-6, 6, 97, dtype=torch.float64)
    known: Sequence[tuple[Any, Relaxation]] = ((exact_gelu, gelu), (torch.relu, relu))
    for function, relaxation in known:
        if torch.allclose(activation(points), function(points), rtol=0, atol=1e-9):
            return relaxation
    return None
