"""Random encoders of every family, and classifiers and batches for them.

They are synthetic, need no file of weights and are made in milliseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DebertaConfig,
    DebertaModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
)

from robench.models.batch import Batch
from robench.models.classifier import TextClassifier

VOCABULARY = 60
PAD = 1
"""RoBERTa's padding token; the other families use it here too."""

_SHAPE = {
    "vocab_size": VOCABULARY,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": PAD,
    "max_position_embeddings": 40,
}
FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "deberta", "deberta-v2")


def encoder(family: str, dropout: float = 0.0) -> Any:
    """Make a random encoder of 2 layers of width 16, drawn from torch's global generator."""
    shape = {
        **_SHAPE,
        "hidden_size": 16,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    disentangled = {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": True,
    }
    if family == "bert":
        return BertModel(BertConfig(**shape))
    if family == "roberta":
        return RobertaModel(RobertaConfig(**shape, type_vocab_size=1))
    if family == "distilbert":
        narrow = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "max_position_embeddings": 40}
        return DistilBertModel(
            DistilBertConfig(
                **narrow,
                dim=16,
                n_layers=2,
                n_heads=2,
                hidden_dim=24,
                dropout=dropout,
                attention_dropout=dropout,
            )
        )
    if family == "electra":
        return ElectraModel(ElectraConfig(**shape, embedding_size=8))
    if family == "albert":
        return AlbertModel(AlbertConfig(**shape, embedding_size=8))
    if family == "deberta":
        return DebertaModel(DebertaConfig(**shape, **disentangled, type_vocab_size=2))
    return DebertaV2Model(
        DebertaV2Config(**shape, **disentangled, type_vocab_size=2, conv_kernel_size=3)
    )


def classifier(
    family: str = "bert", classes: int = 2, dropout: float = 0.0, seed: int = 0
) -> TextClassifier:
    """Make a random classifier in train mode.

    Its weights are so large that the predictions differ from text to text.
    """
    torch.manual_seed(seed)
    model = TextClassifier(encoder(family, dropout), classes, hidden=8)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "LayerNorm" not in name:
                parameter.mul_(8.0 if "embedding" in name else 3.0)
    return model.train()


def batch(
    rows: int = 4,
    tokens: int = 9,
    slots: int = 4,
    classes: int = 2,
    seed: int = 0,
    types: bool = False,
) -> Batch:
    """Make a batch of random texts of different lengths, with labels in class order.

    About half of the inner positions have substitutes.
    """
    draw = np.random.default_rng(seed)
    lengths = np.r_[tokens, draw.integers(4, tokens, rows - 1)]
    ids = draw.integers(5, VOCABULARY, (rows, tokens))
    mask = np.arange(tokens) < lengths[:, None]
    ids[~mask] = PAD
    counts = (
        draw.integers(1, max(slots, 2), (rows, tokens))
        * (slots > 1)
        * (draw.random((rows, tokens)) < 0.6)
        * mask
    )
    counts[:, 0] = 0
    counts[0, 1] = slots - 1
    allowed = np.arange(slots) <= counts[:, :, None]
    substitutes = np.where(
        allowed, draw.integers(5, VOCABULARY, (rows, tokens, slots)), ids[:, :, None]
    )
    substitutes[:, :, 0] = ids
    token_types = None
    if types:
        second_field = np.broadcast_to(np.arange(tokens) > 3, ids.shape) * mask
        token_types = torch.tensor(second_field, dtype=torch.long)
    return Batch(
        torch.tensor(ids),
        torch.tensor(mask, dtype=torch.long),
        token_types,
        torch.arange(rows) * classes // rows,
        torch.tensor(substitutes),
        torch.tensor(allowed),
    )
