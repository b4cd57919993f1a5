"""TextClassifier: a Hugging Face encoder with the papers' two-layer head on the pooled [CLS]."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from robench._base.errors import UsageError
from robench.models.first_token import FirstToken, layers_of


class TextClassifier(nn.Module):
    """Encoder, feature and head (RIFT paper, appendix A.1: "a MLP that has two linear layers with relu activation after the first").

    The feature is the encoder's ``pooler_output`` where it has a pooler (BERT, RoBERTa, ALBERT), else the last layer's first token
    (DistilBERT, ELECTRA, DeBERTa). Convex mixtures of words enter as outputs of the embedding layer, after its LayerNorm: a hook on
    ``encoder.embeddings`` hands them over in place of what the layer would have computed, so no model code is copied.

    Args:
        encoder: any encoder whose embedding layer is a module called ``embeddings``.
        classes: number of labels (>= 2).
        hidden: width of the head's hidden layer.

    Raises:
        UsageError: the encoder has no module ``embeddings``.
    """

    def __init__(self, encoder: Any, classes: int, hidden: int = 256) -> None:
        super().__init__()
        embeddings = getattr(encoder, "embeddings", None)
        if not isinstance(embeddings, nn.Module):
            raise UsageError(
                f"Encoder '{type(encoder).__name__}' has no module 'embeddings', where word mixtures are put in. "
                "Choose an encoder of the BERT kind (BERT, RoBERTa, DistilBERT, ELECTRA, ALBERT, DeBERTa)."
            )
        self.encoder = encoder
        size = int(encoder.config.hidden_size)
        self.head = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, classes))
        self.classes = classes
        self.feature_size = size
        self._embedding_takes = frozenset(inspect.signature(embeddings.forward).parameters)
        self._encoder_takes = frozenset(inspect.signature(encoder.forward).parameters)
        self._first_token = FirstToken(encoder, _pooled)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Logits, ``(batch, classes)``, of token ids ``(batch, tokens)``."""
        return self.classify(self.features(input_ids, attention_mask, token_type_ids))

    def classify(self, features: Tensor) -> Tensor:
        """Logits of features, ``(batch, size) -> (batch, classes)``; fp32 under autocast too, so that losses are."""
        logits: Tensor = self.head(features)
        return logits.float()

    def features(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """The feature of each row, ``(batch, size)``."""
        with self._first_token_only():
            return self._encoded(input_ids, attention_mask, token_type_ids)

    def _encoded(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        types = (
            {"token_type_ids": token_type_ids}
            if token_type_ids is not None and "token_type_ids" in self._encoder_takes
            else {}
        )
        return _pooled(self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types))

    def _first_token_only(self) -> AbstractContextManager[None]:
        """See ``robench.models.first_token``; entered before any hook is set, since it may try the encoder on a text of its own."""
        return nullcontext() if self.training else self._first_token.asked()

    def embed(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Output of the embedding layer (words, positions, types, LayerNorm, dropout in train mode), ``(batch, tokens, embedding size)``.

        Args:
            attention_mask: only DeBERTa's embedding layer reads it (it zeroes padding); without it every token counts as real.
        """
        inputs: dict[str, Tensor] = {"input_ids": input_ids}
        if token_type_ids is not None and "token_type_ids" in self._embedding_takes:
            inputs["token_type_ids"] = token_type_ids
        if "mask" in self._embedding_takes:
            inputs["mask"] = (
                attention_mask if attention_mask is not None else torch.ones_like(input_ids)
            )
        output: Tensor = self.encoder.embeddings(**inputs)
        return output

    def features_from_embeddings(self, embeddings: Tensor, attention_mask: Tensor) -> Tensor:
        """Features of rows given as embedding-layer outputs, ``(batch, tokens, embedding size) -> (batch, size)``; differentiable in them."""
        ids = attention_mask.new_zeros(attention_mask.shape, dtype=torch.long)
        with self._first_token_only(), _standing_in(self.encoder.embeddings, embeddings):
            return _pooled(self.encoder(input_ids=ids, attention_mask=attention_mask))

    @property
    def word_size(self) -> int:
        """Width of a word embedding; in some encoders (ELECTRA, ALBERT) not that of the layers."""
        return int(self.encoder.get_input_embeddings().embedding_dim)

    def features_under_noise(
        self,
        noise: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Features ``(batch, size)`` of rows whose word embeddings have ``noise`` ``(batch, tokens, word_size)`` on top; differentiable in it.

        Positions, types and LayerNorm come after it, which is why this is not ``features_from_embeddings``.
        """
        with self._first_token_only(), _shifted(self.encoder.get_input_embeddings(), noise):
            return self._encoded(input_ids, attention_mask, token_type_ids)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, the first one first; raises UsageError where it keeps no list of them (ALBERT has one layer that is used again and again)."""
        found = layers_of(self.encoder)
        if found is None:
            raise UsageError(
                f"Encoder '{type(self.encoder).__name__}' keeps no list of its layers, whose states this defense changes. Choose another encoder."
            )
        return list(found)

    def features_changed(
        self,
        layer: int,
        change: Callable[[Tensor], Tensor],
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Features ``(batch, size)`` where ``change`` has been applied to the states ``(batch, tokens, size)`` that leave ``layer`` (counted from 1)."""
        with _changed(self.layers[layer - 1], change):
            return self._encoded(input_ids, attention_mask, token_type_ids)


def _pooled(output: Any) -> Tensor:
    pooled = getattr(output, "pooler_output", None)
    feature: Tensor = pooled if pooled is not None else output.last_hidden_state[:, 0]
    return feature


@contextmanager
def _shifted(words: nn.Module, noise: Tensor) -> Iterator[None]:
    """Let the layer ``words`` answer with ``noise`` on top, in this thread only.

    A hook rather than ``inputs_embeds``: without ids RoBERTa would count padding as words and give other positions.
    """
    owner = get_ident()

    def answer(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return output + noise if get_ident() == owner else None

    handle = words.register_forward_hook(answer)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _changed(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let ``layer`` hand on its states as ``change`` makes them, in this thread only."""
    owner = get_ident()

    def answer(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if get_ident() != owner:
            return None
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    handle = layer.register_forward_hook(answer)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _standing_in(layer: nn.Module, embeddings: Tensor) -> Iterator[None]:
    """Let ``layer`` answer with ``embeddings``, in this thread only.

    A pre-hook hands the layer one single token, so that the answer nobody wants costs nothing.
    """
    owner = get_ident()
    token = torch.zeros((1, 1), dtype=torch.long, device=embeddings.device)

    def feed(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        return ((), {"input_ids": token}) if get_ident() == owner else None

    def answer(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return embeddings if get_ident() == owner else None

    handles = (
        layer.register_forward_pre_hook(feed, with_kwargs=True),
        layer.register_forward_hook(answer),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
