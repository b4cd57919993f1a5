"""Let a masked language model compute its last layer only at the places that are read.

A scorer reads one or two tokens of each row: the masks. ``torch_scorers`` gives only these to the
head. The feed-forward part of the last layer works on each token by itself, so it needs no other
tokens either. With two layers, that is a third of the encoder's products.

The scores differ by rounding alone, as with another number of threads. So this is no part of a
surface's key; see ``surface_building`` on rounded ratios.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import WeakSet

from robench.text.scorer import Scorer
from robench.text.torch_scorers import MaskedScorer

TOLERANCE = 1e-3
"""Largest difference of two logits that counts as rounding; the tried logits are about 10."""
_ROWS, _TOKENS = 3, 9
_KNOWN: WeakSet[Any] = WeakSet()
"""The last layers of models that were tried."""


def read_places_early(scorer: Scorer | None) -> Scorer | None:
    """Make the scorer faster where its model allows that, and return it.

    The last layer must have the parts of BERT's: attention with its residual sum, then
    ``intermediate`` and ``output``. The model is tried with and without the change, and is left as
    it was where its answers differ.
    """
    if not isinstance(scorer, MaskedScorer) or scorer.precision != "fp32":
        return scorer
    # A model may lack what is asked of it here. Any error means that it is left as it is.
    layer, handle, same = None, None, False
    with suppress(Exception):
        layer = _last_layer(scorer.model)
        if layer is None or layer in _KNOWN:
            return scorer
        _KNOWN.add(layer)
        before = _tried(scorer)
        handle = layer.attention.register_forward_hook(_Reader(scorer))
        same = bool((_tried(scorer) - before).abs().max() <= TOLERANCE)
    if handle is not None and not same:
        handle.remove()
    return scorer


class _Reader:
    """A hook of the last layer's attention: it passes on only the places that are read."""

    def __init__(self, scorer: MaskedScorer) -> None:
        self._scorer = scorer

    def __call__(self, _module: Any, _inputs: Any, output: Any) -> Any:
        places = self._scorer._gather
        if places is None:
            return output
        # The scorer's own hook, after the last layer, then has nothing left to do.
        self._scorer._gather = None
        if isinstance(output, tuple):
            return (output[0][places][None], *output[1:])
        return output[places][None]


def _last_layer(model: Any) -> Any:
    """Return the last layer of an encoder like BERT's, or None."""
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if not layers or getattr(model.config, "chunk_size_feed_forward", None):
        return None
    parts = ("attention", "intermediate", "output")
    return layers[-1] if all(hasattr(layers[-1], part) for part in parts) else None


def _tried(scorer: MaskedScorer) -> Any:
    """Return the logits of some rows of mask tokens and others, at two places each."""
    import torch

    device, size = scorer.device, scorer.model.config.vocab_size
    ids = torch.arange(_ROWS * _TOKENS, device=device).reshape(_ROWS, _TOKENS) * 7 % size
    ids[:, 3] = scorer.tokenizer.mask_token_id
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    rows = torch.arange(_ROWS, device=device).repeat_interleave(2)
    columns = torch.tensor([3, 5], device=device).repeat(_ROWS)
    scorer._gather = (rows, columns)
    try:
        with torch.inference_mode():
            return scorer.model(input_ids=ids, attention_mask=mask).logits[0].float()
    finally:
        scorer._gather = None
