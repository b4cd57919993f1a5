"""TextClassifier: a Hugging Face encoder with the papers' two-layer head on the pooled [CLS]."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from robench._base.errors import UsageError
from robench.models.first_token import FirstTokenShortcut, layers_of


class TextClassifier(nn.Module):
    """Encoder, feature and head.

    The head is that of the RIFT paper, appendix A.1: "a MLP that has two linear layers with relu
    activation after the first".

    The feature is the encoder's ``pooler_output`` where it has a pooler (BERT, RoBERTa, ALBERT).
    Otherwise it is the last layer's first token (DistilBERT, ELECTRA, DeBERTa).

    Convex mixtures of words enter as outputs of the embedding layer, after its LayerNorm. A hook
    on ``encoder.embeddings`` returns them in place of the layer's own output, so no model code
    is copied.

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
                f"Encoder '{type(encoder).__name__}' has no module 'embeddings', "
                "where robench puts in word mixtures. Choose an encoder of the BERT kind "
                "(BERT, RoBERTa, DistilBERT, ELECTRA, ALBERT, DeBERTa)."
            )
        self.encoder = encoder
        size = int(encoder.config.hidden_size)
        self.head = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, classes))
        self.classes = classes
        self.feature_size = size
        # Not every encoder takes token types or a mask, so remember which arguments these do.
        self._embedding_arguments = frozenset(inspect.signature(embeddings.forward).parameters)
        self._encoder_arguments = frozenset(inspect.signature(encoder.forward).parameters)
        self._shortcut = FirstTokenShortcut(encoder, _pooled)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return the logits ``(batch, classes)`` of token ids ``(batch, tokens)``."""
        return self.classify(self.features(input_ids, attention_mask, token_type_ids))

    def in_bf16(self) -> TextClassifier:
        """Return a copy with weights in bf16, in eval mode and on the same device."""
        # The shortcut is tried in fp32 first. In bf16 its rounding errors would be too large.
        with self._shortcut.active():
            pass
        return deepcopy(self).to(torch.bfloat16).eval()

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of features, ``(batch, size) -> (batch, classes)``.

        They are fp32 under autocast too, so that losses are computed in fp32.
        """
        logits: Tensor = self.head(features)
        return logits.float()

    def features(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return the feature of each row, ``(batch, size)``."""
        with self._first_token_only():
            return self._encoded(input_ids, attention_mask, token_type_ids)

    def _encoded(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None and "token_type_ids" in self._encoder_arguments:
            inputs["token_type_ids"] = token_type_ids
        return _pooled(self.encoder(**inputs))

    def _first_token_only(self) -> AbstractContextManager[None]:
        """Apply ``robench.models.first_token`` in eval mode.

        Enter this context before setting any hook: it may first test the encoder on a text of
        its own.
        """
        return nullcontext() if self.training else self._shortcut.active()

    def embed(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the output of the embedding layer, ``(batch, tokens, embedding size)``.

        The layer adds words, positions and types, applies LayerNorm and, in train mode, dropout.

        Args:
            attention_mask: only DeBERTa's embedding layer reads it (it zeroes padding); without
                it every token counts as real.
        """
        inputs: dict[str, Tensor] = {"input_ids": input_ids}
        if token_type_ids is not None and "token_type_ids" in self._embedding_arguments:
            inputs["token_type_ids"] = token_type_ids
        if "mask" in self._embedding_arguments:
            inputs["mask"] = (
                attention_mask if attention_mask is not None else torch.ones_like(input_ids)
            )
        output: Tensor = self.encoder.embeddings(**inputs)
        return output

    def features_from_embeddings(self, embeddings: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the features of rows given as embedding-layer outputs.

        The shapes are ``(batch, tokens, embedding size) -> (batch, size)``. The features are
        differentiable in ``embeddings``.
        """
        # The encoder insists on ids; the hook below replaces whatever they would give.
        ids = attention_mask.new_zeros(attention_mask.shape, dtype=torch.long)
        with self._first_token_only(), _replaced_output(self.encoder.embeddings, embeddings):
            return _pooled(self.encoder(input_ids=ids, attention_mask=attention_mask))

    @property
    def word_size(self) -> int:
        """Width of a word embedding; ELECTRA and ALBERT use another width than their layers."""
        return int(self.encoder.get_input_embeddings().embedding_dim)

    def features_under_noise(
        self,
        noise: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Return features ``(batch, size)`` of rows with ``noise`` added to their word embeddings.

        ``noise`` is ``(batch, tokens, word_size)``, and the features are differentiable in it.
        Positions, types and LayerNorm come after it. ``features_from_embeddings`` replaces the
        outputs after these steps, so it cannot be used here.
        """
        with self._first_token_only(), _added_noise(self.encoder.get_input_embeddings(), noise):
            return self._encoded(input_ids, attention_mask, token_type_ids)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, the first one first.

        Raises:
            UsageError: the encoder keeps no list of them (ALBERT uses one layer repeatedly).
        """
        found = layers_of(self.encoder)
        if found is None:
            raise UsageError(
                f"Encoder '{type(self.encoder).__name__}' keeps no list of its layers. "
                "This defense changes the states of layers, so choose another encoder."
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
        """Return features ``(batch, size)`` with ``change`` applied to the output of one layer.

        Args:
            layer: the layer's number, counted from 1.
            change: a function of the states ``(batch, tokens, size)`` that leave the layer.
        """
        with _changed_states(self.layers[layer - 1], change):
            return self._encoded(input_ids, attention_mask, token_type_ids)


def _pooled(output: Any) -> Tensor:
    pooled = getattr(output, "pooler_output", None)
    feature: Tensor = pooled if pooled is not None else output.last_hidden_state[:, 0]
    return feature


# Other threads may use the same encoder while a hook is set. So every hook below acts in the
# thread that set it, and changes nothing elsewhere.


@contextmanager
def _added_noise(words: nn.Module, noise: Tensor) -> Iterator[None]:
    """Add ``noise`` to the output of the layer ``words``, in this thread only.

    A hook is used rather than ``inputs_embeds``: without ids, RoBERTa would count padding as
    words and use other positions.
    """
    owner = get_ident()

    def add(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return output + noise if get_ident() == owner else None

    handle = words.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _changed_states(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Apply ``change`` to the states that ``layer`` returns, in this thread only."""
    owner = get_ident()

    def apply(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if get_ident() != owner:
            return None
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    handle = layer.register_forward_hook(apply)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _replaced_output(layer: nn.Module, embeddings: Tensor) -> Iterator[None]:
    """Make ``layer`` return ``embeddings``, in this thread only.

    A pre-hook gives the layer a single token, so that the unused output costs nothing.
    """
    owner = get_ident()
    token = torch.zeros((1, 1), dtype=torch.long, device=embeddings.device)

    def feed(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        return ((), {"input_ids": token}) if get_ident() == owner else None

    def replace(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return embeddings if get_ident() == owner else None

    handles = (
        layer.register_forward_pre_hook(feed, with_kwargs=True),
        layer.register_forward_hook(replace),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
