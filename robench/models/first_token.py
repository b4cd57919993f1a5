"""An encoder's last layer, worked out for the first token only.

A classifier that reads nothing but the first token of the last layer has no use for what that layer makes of the others: of its twelve matrix products of
width x width a token (BERT's proportions) only keys and values are needed, two. The answer is the same but for the last bits; with two layers a forward costs
about 0.6 of what it did, with four 0.8, with twelve 0.93.

No model code is replaced for anybody else: the layer has another forward only while a ``FirstToken`` asks, which it does in eval mode alone (in training mode
dropout draws its numbers for every token). A layer that is built otherwise than BERT's or DistilBERT's is left alone, and so is one whose answer, tried once
on small texts, is not what the whole layer gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

Answer = Callable[[Any, Tensor, Tensor | None], Tensor]
"""Layer, states ``(batch, tokens, size)`` that enter it, attention mask ``(batch, 1, 1 or tokens, tokens)`` -> what leaves it, ``(batch, 1, size)``."""


class FirstToken:
    """Knows how to ask one encoder for less.

    Args:
        encoder: any; where it is of no known make, asking it changes nothing.
        feature: what is read of the encoder's output, ``(batch, size)``: it has to be the same with and without.
    """

    def __init__(self, encoder: Any, feature: Callable[[Any], Tensor]) -> None:
        self._encoder, self._feature = encoder, feature
        layers = layers_of(encoder)
        self._layer: Any = layers[-1] if layers else None
        self._answer = _make(layers[-1]) if layers else None
        self._trusted = None if self._answer is not None else False
        self._in_a_tuple = False

    @contextmanager
    def asked(self) -> Iterator[None]:
        """While this lasts the encoder, in eval mode and in this thread, computes no other token in its last layer."""
        if self._trusted is None:
            self._trusted = self._agrees()
        with self._standing_in() if self._trusted else nullcontext():
            yield

    @contextmanager
    def _standing_in(self) -> Iterator[None]:
        layer, owner = self._layer, get_ident()
        if "forward" in vars(layer):  # another thread's, or somebody else's altogether
            yield
            return

        def forward(*inputs: Any, **named: Any) -> Any:
            """Encoders of every release so far hand a layer the states and the attention mask first."""
            mask = inputs[1] if len(inputs) > 1 else ...
            if (
                get_ident() != owner
                or layer.training
                or not (mask is None or (isinstance(mask, Tensor) and mask.dim() == 4))
            ):
                return type(layer).forward(layer, *inputs, **named)
            answer = self._answer(layer, inputs[0], None if mask is None else mask[:, :, :1])  # type: ignore[misc]  # without one it is not trusted
            return (answer,) if self._in_a_tuple else answer

        layer.forward = forward
        try:
            yield
        finally:
            vars(layer).pop("forward", None)

    def _agrees(self) -> bool:
        """Whether the encoder's feature of small texts, padded and not, is the same both ways, but for rounding."""
        encoder = self._encoder
        device = next(encoder.parameters()).device
        tokens = min(24, int(getattr(encoder.config, "max_position_embeddings", 24)) - 4)
        ids = (
            torch.arange(2 * tokens, device=device).view(2, tokens) + 5
        ) % encoder.config.vocab_size
        whole = torch.ones_like(ids)
        padded = whole.clone()
        padded[1, tokens // 2 :] = 0
        try:
            with torch.no_grad(), torch.autocast(device.type, enabled=False), self._noting():
                return all(self._same(ids, mask) for mask in (whole, padded))
        except (
            Exception
        ):  # an encoder that does not take such a text, or a layer that is not what it looked like
            return False

    def _same(self, ids: Tensor, mask: Tensor) -> bool:
        expected = self._feature(self._encoder(input_ids=ids, attention_mask=mask))
        with self._standing_in():
            found = self._feature(self._encoder(input_ids=ids, attention_mask=mask))
        return torch.allclose(found, expected, rtol=1e-4, atol=1e-5)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Take note of the form in which the layer itself answers, which depends on the release of transformers."""

        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            if "forward" not in vars(layer):
                self._in_a_tuple = isinstance(output, tuple)

        handle = self._layer.register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()


def _of_bert(layer: Any, states: Tensor, mask: Tensor | None) -> Tensor:
    """BERT, RoBERTa, XLM-RoBERTa, ELECTRA."""
    own, first = layer.attention.self, states[:, :1]
    context = _attend(
        own.query(first), own.key(states), own.value(states), own.num_attention_heads, mask
    )
    mixed = layer.attention.output(context, first)
    output: Tensor = layer.output(layer.intermediate(mixed), mixed)
    return output


def _of_distilbert(layer: Any, states: Tensor, mask: Tensor | None) -> Tensor:
    own, first = layer.attention, states[:, :1]
    context = _attend(own.q_lin(first), own.k_lin(states), own.v_lin(states), own.n_heads, mask)
    mixed = layer.sa_layer_norm(own.out_lin(context) + first)
    output: Tensor = layer.output_layer_norm(layer.ffn(mixed) + mixed)
    return output


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """``(batch, 1, size)`` queries over ``(batch, tokens, size)`` keys and values."""
    query, key, value = (
        each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key, value)
    )
    return (
        scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
    )


_MAKES: dict[Answer, tuple[str, ...]] = {
    _of_bert: (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    _of_distilbert: (
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "output_layer_norm",
    ),
}
"""How each make of layer is answered for, and the modules by which it is known."""


def _make(layer: nn.Module) -> Answer | None:
    return next(
        (answer for answer, parts in _MAKES.items() if all(_has(layer, part) for part in parts)),
        None,
    )


def _has(layer: nn.Module, part: str) -> bool:
    found: Any = layer
    for name in part.split("."):
        found = getattr(found, name, None)
    return isinstance(found, nn.Module)


def layers_of(encoder: Any) -> nn.ModuleList | None:
    """The encoder's layers, the first one first; None where it keeps no list of them."""
    depth = int(getattr(encoder.config, "num_hidden_layers", 0))
    return next(
        (
            module
            for module in encoder.modules()
            if isinstance(module, nn.ModuleList) and len(module) == depth > 0
        ),
        None,
    )
