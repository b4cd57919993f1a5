"""Small classifiers, tokenizers, tasks and requests for the tests of ``robench.victims`` and the defenses. Nothing here needs a file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
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
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from robench import TASKS, Batch, DataSource, Example, Splits, Task
from robench.protocol import get_protocol
from robench.tasks.frozen import digest, make_examples
from robench.victims.classifier import TextClassifier
from robench.victims.recipe import FitRequest

VOCABULARY = 60
PAD = 1  # RoBERTa's; the others are given it too

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
    """A random encoder of a family, 2 layers x 16, drawn from torch's global generator."""
    shape = {**_SHAPE, "hidden_size": 16, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    disentangled = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": True}
    if family == "bert":
        return BertModel(BertConfig(**shape))
    if family == "roberta":
        return RobertaModel(RobertaConfig(**shape, type_vocab_size=1))
    if family == "distilbert":
        narrow = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "max_position_embeddings": 40}
        return DistilBertModel(DistilBertConfig(**narrow, dim=16, n_layers=2, n_heads=2, hidden_dim=24, dropout=dropout, attention_dropout=dropout))
    if family == "electra":
        return ElectraModel(ElectraConfig(**shape, embedding_size=8))
    if family == "albert":
        return AlbertModel(AlbertConfig(**shape, embedding_size=8))
    if family == "deberta":
        return DebertaModel(DebertaConfig(**shape, **disentangled, type_vocab_size=2))
    return DebertaV2Model(DebertaV2Config(**shape, **disentangled, type_vocab_size=2, conv_kernel_size=3))


def classifier(family: str = "bert", classes: int = 2, dropout: float = 0.0, seed: int = 0) -> TextClassifier:
    """A random classifier in train mode, spread enough that predictions differ from text to text."""
    torch.manual_seed(seed)
    model = TextClassifier(encoder(family, dropout), classes, hidden=8)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "LayerNorm" not in name:
                parameter.mul_(8.0 if "embedding" in name else 3.0)
    return model.train()


def batch(rows: int = 4, tokens: int = 9, slots: int = 4, classes: int = 2, seed: int = 0, types: bool = False) -> Batch:
    """Random texts of unequal length with substitutes at about half of their inner positions; labels in class order."""
    draw = np.random.default_rng(seed)
    lengths = np.r_[tokens, draw.integers(4, tokens, rows - 1)]
    ids = draw.integers(5, VOCABULARY, (rows, tokens))
    mask = np.arange(tokens) < lengths[:, None]
    ids[~mask] = PAD
    counts = draw.integers(1, max(slots, 2), (rows, tokens)) * (slots > 1) * (draw.random((rows, tokens)) < 0.6) * mask
    counts[:, 0] = 0
    counts[0, 1] = slots - 1
    allowed = np.arange(slots) <= counts[:, :, None]
    substitutes = np.where(allowed, draw.integers(5, VOCABULARY, (rows, tokens, slots)), ids[:, :, None])
    substitutes[:, :, 0] = ids
    return Batch(
        torch.tensor(ids),
        torch.tensor(mask, dtype=torch.long),
        torch.tensor(np.broadcast_to(np.arange(tokens) > 3, ids.shape) * mask, dtype=torch.long) if types else None,
        torch.arange(rows) * classes // rows,
        torch.tensor(substitutes),
        torch.tensor(allowed),
    )


# -- a planted task: the label hangs on one word out of groups whose members mean the same --------------------------------------------------

GOOD = ("good", "fine", "great", "superb")
BAD = ("bad", "poor", "awful", "dreadful")
NEUTRAL = tuple(f"noun{index}" for index in range(12))


class Synonyms:
    """A substitution set: words of one group stand for each other."""

    name = "planted"
    sha256 = "0" * 64

    def of(self, word: str, lookup: str) -> tuple[str, ...]:
        return next((tuple(other for other in group if other != word) for group in (GOOD, BAD) if word in group), ())


def planted(split: str, size: int, seen: int) -> list[Example]:
    """Texts of neutral words with one opinion, whose first ``seen`` words of each group are used: the rest are met in substitutions only."""
    draw = np.random.default_rng(len(split))
    rows = []
    for index in range(size):
        words = draw.choice(NEUTRAL, draw.integers(3, 8)).tolist()
        words.insert(int(draw.integers(0, len(words) + 1)), str(draw.choice((GOOD if index % 2 else BAD)[:seen])))
        rows.append(({"text": " ".join([*words, f"{split}{index}"])}, index % 2))
    return make_examples("planted", rows)


def planted_splits(train: int = 96, dev: int = 24, test: int = 24) -> Splits:
    judged = planted("test", test, 4)
    return Splits(
        train=planted("train", train, 2),
        dev=planted("dev", dev, 2),
        test=judged,
        train_pool="train",
        test_name="planted",
        digest=digest(judged),
        origin="made up",
    )


@TASKS.register("planted")
class Planted(Task):
    """One opinion among neutral words."""

    labels = ("negative", "positive")
    attackable = "text"
    max_tokens = 16
    synthetic = True

    def load(self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None) -> Splits:
        return planted_splits()


def tokenizer(words: Sequence[str] = (*NEUTRAL, *GOOD, *BAD)) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer of whole words."""
    vocabulary = {token: index for index, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", *words))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def encoder_folder(folder: Path, dropout: float = 0.1) -> Path:
    """A random BERT with its tokenizer as a folder in the Hugging Face layout."""
    torch.manual_seed(1)
    made = tokenizer()
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 32}
    config = BertConfig(vocab_size=len(made), pad_token_id=0, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, **shape)
    BertModel(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


QUICK: Mapping[str, Any] = {"learning_rate": 5e-3, "epochs": 3, "batch_size": 16, "dev_examples": 16}


def request(encoder: Path | str, defense: str = "standard", splits: Splits | None = None, **values: Any) -> FitRequest:
    """A request for the planted task that trains in seconds."""
    options = {**QUICK, **values.pop("options", {})}
    made = {"substitutions": Synonyms(), "protocol": get_protocol("rift2021"), "seed": 0, **values}
    return FitRequest(defense=defense, task="planted", splits=splits or planted_splits(), encoder=str(encoder), options=options, **made)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
