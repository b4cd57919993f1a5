"""A lean copy of an encoder in reduced precision, for passes that train nothing.

The inner maximisation asks an encoder some ten times for the same texts, forwards and backwards to
its input. Under autocast every linear layer first casts its weights, its bias and its input, and
LayerNorms and sums are in fp32. On a GPU such a pass has some thirty kernels for each layer, and
starting them takes longer than computing. The copy here holds weights in bf16 that are cast once,
one matrix for queries, keys and values, and no padding where the device has attention for rows of
unequal length. It has ten kernels for each layer.

The answers differ from those under autocast by rounding. In fp32 nothing here is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from robench.models.first_token import layers_of
from robench.models.row_attention import RowAttention, RowLayout, packs, row_attention

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier

_BERT = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "mix_norm": "attention.output.LayerNorm",
    "rise": "intermediate.dense",
    "fall": "output.dense",
    "fall_norm": "output.LayerNorm",
}
_DISTILBERT = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "mix": "attention.out_lin",
    "mix_norm": "sa_layer_norm",
    "rise": "ffn.lin1",
    "fall": "ffn.lin2",
    "fall_norm": "output_layer_norm",
}
_ARCHITECTURES = (
    (_BERT, "attention.self.num_attention_heads", "intermediate.intermediate_act_fn"),
    (_DISTILBERT, "attention.n_heads", "ffn.activation"),
)
"""Names of the parts of a layer, of its number of heads and of its activation."""


@dataclass(frozen=True)
class _Layer:
    """One layer's modules, and their weights in the precision of the copy."""

    parts: dict[str, Any]
    heads: int
    activation: Callable[[Tensor], Tensor]
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> _Layer | None:
        """Return the copy of ``layer``; None where it is not built like BERT's or DistilBERT's."""
        for names, heads, activation in _ARCHITECTURES:
            parts = {name: _found(layer, path) for name, path in names.items()}
            number, bend = _found(layer, heads), _found(layer, activation)
            if all(isinstance(part, nn.Module) for part in parts.values()) and bend is not None:
                return cls(parts, int(number), bend, _empty_weights(parts, dtype))
        return None

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Return each weight of the copy with the encoder's own."""
        found = []
        size = self.weights["qkv.weight"].shape[0] // 3
        for number, name in enumerate(("query", "key", "value")):
            part = slice(number * size, (number + 1) * size)
            found.append((self.weights["qkv.weight"][part], self.parts[name].weight))
            found.append((self.weights["qkv.bias"][part], self.parts[name].bias))
        for name in ("mix", "mix_norm", "rise", "fall", "fall_norm"):
            for kind in ("weight", "bias"):
                found.append((self.weights[f"{name}.{kind}"], getattr(self.parts[name], kind)))
        return found

    def __call__(self, states: Tensor, attend: RowAttention, layout: RowLayout) -> Tensor:
        """Return the states of all tokens, ``(tokens, size) -> (tokens, size)``."""
        joined = linear(states, self.weights["qkv.weight"], self.weights["qkv.bias"])
        query, key, value = joined.unflatten(-1, (3, self.heads, -1)).unbind(1)
        return self._rest(states, attend.all_tokens(query, key, value, layout))

    def first_tokens(self, states: Tensor, attend: RowAttention, layout: RowLayout) -> Tensor:
        """Return the states of the first token of each row, ``(tokens, size) -> (rows, size)``."""
        weight, bias = self.weights["qkv.weight"], self.weights["qkv.bias"]
        size, first = weight.shape[0] // 3, states.index_select(0, layout.first)
        query = linear(first, weight[:size], bias[:size]).unflatten(-1, (self.heads, -1))
        joined = linear(states, weight[size:], bias[size:])
        key, value = joined.unflatten(-1, (2, self.heads, -1)).unbind(1)
        return self._rest(first, attend.first_tokens(query, key, value, layout))

    def _rest(self, states: Tensor, attended: Tensor) -> Tensor:
        mixed = self._normed("mix_norm", self._linear("mix", attended.flatten(1)) + states)
        risen = self.activation(self._linear("rise", mixed))
        return self._normed("fall_norm", self._linear("fall", risen) + mixed)

    def _linear(self, name: str, states: Tensor) -> Tensor:
        return linear(states, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _normed(self, name: str, states: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return layer_norm(states, weight.shape, weight, bias, float(self.parts[name].eps))


def _found(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def _empty_weights(parts: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return room for the copies; the three projections of attention lie in one matrix."""
    weights = {
        f"{name}.{kind}": torch.empty_like(getattr(parts[name], kind), dtype=dtype)
        for name in ("mix", "mix_norm", "rise", "fall", "fall_norm")
        for kind in ("weight", "bias")
    }
    size, width = parts["query"].weight.shape
    weights["qkv.weight"] = parts["query"].weight.new_empty((3 * size, width), dtype=dtype)
    weights["qkv.bias"] = parts["query"].weight.new_empty(3 * size, dtype=dtype)
    return {name: weight.detach() for name, weight in weights.items()}


class FrozenEncoder:
    """The layers, pooler and head of a classifier as a function of the embedding-layer outputs.

    Args:
        model: the classifier, in eval mode.
        dtype: precision of the copy.

    Raises:
        ValueError: a layer is not built like BERT's or DistilBERT's.
    """

    def __init__(self, model: TextClassifier, dtype: torch.dtype) -> None:
        layers = [_Layer.of(layer, dtype) for layer in layers_of(model.encoder) or ()]
        known = [layer for layer in layers if layer is not None]
        if not known or len(known) < len(layers):
            raise ValueError("the layers of this encoder have an unknown architecture")
        self._layers = known
        pooler = getattr(model.encoder, "pooler", None)
        dense = [] if pooler is None else [pooler.dense]
        self._pooled = bool(dense)
        # ELECTRA's embeddings may be narrower than its layers.
        widened = getattr(model.encoder, "embeddings_project", None)
        self._widened = widened is not None
        self._small = [*dense, model.head[0], model.head[2], *([widened] if self._widened else [])]
        self._copies = [
            (
                torch.empty_like(part.weight, dtype=dtype).detach(),
                torch.empty_like(part.bias, dtype=dtype).detach(),
            )
            for part in self._small
        ]
        self.dtype = dtype
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the model's current weights; to be called after every step of an optimizer."""
        pairs = [pair for layer in self._layers for pair in layer.pairs()]
        for part, (weight, bias) in zip(self._small, self._copies, strict=True):
            pairs += [(weight, part.weight), (bias, part.bias)]
        torch._foreach_copy_([copy for copy, _ in pairs], [own.detach() for _, own in pairs])

    def logits(self, states: Tensor, layout: RowLayout, attend: RowAttention) -> Tensor:
        """Return fp32 logits ``(rows, classes)``; the arguments are those of ``features``."""
        first, second = self._copies[self._pooled : self._pooled + 2]
        hidden = linear(self.features(states, layout, attend), *first).relu()
        return linear(hidden, *second).float()

    def features(self, states: Tensor, layout: RowLayout, attend: RowAttention) -> Tensor:
        """Return features ``(rows, size)`` of the texts' tokens ``(tokens, size)``.

        Args:
            states: outputs of the embedding layer, in the order of ``layout``.
            layout: where the rows are among the tokens.
            attend: attention for such rows.
        """
        states = states.to(self.dtype)
        if self._widened:
            states = linear(states, *self._copies[-1])
        for layer in self._layers[:-1]:
            states = layer(states, attend, layout)
        feature = self._layers[-1].first_tokens(states, attend, layout)
        return linear(feature, *self._copies[0]).tanh() if self._pooled else feature


@dataclass(frozen=True)
class FrozenTexts:
    """The texts of a batch, for passes through the copy of an encoder.

    Attributes:
        encoder: the copy.
        layout: where the texts are among the tokens.
        attend: attention for such texts.
        padded: number of tokens with padding.
    """

    encoder: FrozenEncoder
    layout: RowLayout
    attend: RowAttention
    padded: int

    def entered(self, outputs: Tensor) -> Tensor:
        """Return outputs of the embedding layer, ``(tokens with padding, size)``, as they enter."""
        kept = outputs if self.layout.kept is None else outputs[self.layout.kept]
        return kept.to(self.encoder.dtype)

    def places(self, positions: Tensor) -> Tensor:
        """Return the numbers of tokens, counted with padding, among those that enter."""
        return self.layout.places(positions, self.padded)

    def logits(self, states: Tensor) -> Tensor:
        """Return fp32 logits ``(texts, classes)``, differentiable in ``states``."""
        with torch.autocast(states.device.type, enabled=False):
            return self.encoder.logits(states, self.layout, self.attend)


def frozen_features(model: TextClassifier, batch: Batch) -> Tensor | None:
    """Return the features ``(texts, size)`` of a frozen model; None where it has no copy.

    Args:
        model: the classifier, in eval mode.
        batch: the texts.
    """
    texts = frozen_texts(model, batch)
    if texts is None:
        return None
    with torch.no_grad():
        outputs = model.embed(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        entered = texts.entered(outputs.flatten(0, 1))
        with torch.autocast(entered.device.type, enabled=False):
            return texts.encoder.features(entered, texts.layout, texts.attend)


def frozen_texts(model: TextClassifier, batch: Batch) -> FrozenTexts | None:
    """Return the passes of a batch through a bf16 copy of ``model`` with its current weights.

    None where the answers are not in bf16 anyway, and where the encoder is built in another way.

    Args:
        model: the classifier, in eval mode and without gradients of its parameters.
        batch: the texts.
    """
    device = batch.input_ids.device
    if not _wanted(device):
        return None
    encoder = frozen_encoder(model)
    if encoder is None:
        return None
    mask, lengths = batch.attention_mask, batch.lengths
    layout = (RowLayout.packed if packs(device) else RowLayout.padded)(mask, lengths)
    attend = row_attention(layout)
    return FrozenTexts(encoder, layout.adding(encoder.dtype), attend, mask.numel())


def _wanted(device: torch.device) -> bool:
    """Return whether a device gains from the copy: on a CPU its attention is slower in bf16."""
    if device.type != "cuda":
        return False
    if not torch.is_autocast_enabled(device.type):
        return False
    return torch.get_autocast_dtype(device.type) == torch.bfloat16


_KNOWN: WeakKeyDictionary[TextClassifier, FrozenEncoder | None] = WeakKeyDictionary()
"""The copy of each model; None for a model that cannot have one."""


def frozen_encoder(model: TextClassifier) -> FrozenEncoder | None:
    """Return the bf16 copy of ``model`` with its current weights; None where it has none.

    The first call compares a copy in fp32 with the model on small texts, forwards and backwards.
    A model whose layers only look like those that are known has no copy.

    Args:
        model: the classifier, in eval mode.
    """
    if model not in _KNOWN:
        agrees = _agrees(model)
        _KNOWN[model] = FrozenEncoder(model, torch.bfloat16) if agrees else None
    found = _KNOWN[model]
    if found is not None:
        found.refresh()
    return found


def _agrees(model: TextClassifier) -> bool:
    """Return whether a copy in fp32 gives the model's logits and gradients, but for rounding."""
    device = next(model.parameters()).device
    # A model may refuse such texts, or hold parts that its layers do not show. Any error means
    # that no copy can be used.
    try:
        with torch.autocast(device.type, enabled=False), torch.random.fork_rng(devices=[]):
            copy = FrozenEncoder(model, torch.float32)
            return all(_same(model, copy, lengths) for lengths in ((7, 7), (7, 4)))
    except Exception:
        return False


def _same(model: TextClassifier, copy: FrozenEncoder, lengths: Sequence[int]) -> bool:
    device = next(model.parameters()).device
    width = max(lengths)
    numbers = torch.arange(len(lengths) * width, device=device).view(-1, width)
    mask = (
        torch.arange(width, device=device) < torch.tensor(lengths, device=device)[:, None]
    ).long()
    ids = (numbers + 5) % model.encoder.config.vocab_size
    with torch.no_grad():
        entered = model.embed(ids, None, mask).float()
    results = []
    for own in (True, False):
        with torch.enable_grad():
            inputs = entered.clone().requires_grad_()
            if own:
                logits = model.classify(model.features_from_embeddings(inputs, mask))
            else:
                layout = RowLayout.padded(mask, lengths)
                logits = copy.logits(inputs.flatten(0, 1), layout, row_attention(layout))
            (gradient,) = torch.autograd.grad(logits[:, 0].sum(), inputs)
        results.append((logits.detach(), gradient * mask[:, :, None]))
    return all(
        torch.allclose(one, other, rtol=1e-3, atol=1e-4)
        for one, other in zip(*results, strict=True)
    )
