"""A planted task and requests for the tests of ``robench.training`` and the defenses.

Nothing here needs a file of weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from robench import TASKS, DataSource, Example, Splits, Task
from robench.protocol import get_protocol
from robench.tasks.frozen import digest, make_examples
from robench.testing.opinions import BAD, GOOD, NEUTRAL, Synonyms, tokenizer
from robench.testing.random_models import FAMILIES, PAD, VOCABULARY, batch, classifier, encoder
from robench.training.request import FitRequest

__all__ = [
    "BAD", "FAMILIES", "GOOD", "NEUTRAL", "PAD", "QUICK", "VOCABULARY", "Planted", "Synonyms",
    "batch", "classifier", "encoder", "encoder_folder", "planted", "planted_splits", "read_json",
    "request", "tokenizer",
]  # fmt: skip


def planted(split: str, size: int, seen: int) -> list[Example]:
    """Return texts of neutral words with one opinion word.

    Only the first ``seen`` opinion words of each group are used. The others occur in
    substitutions only.
    """
    draw = np.random.default_rng(len(split))
    rows = []
    for index in range(size):
        words = draw.choice(NEUTRAL, draw.integers(3, 8)).tolist()
        place = int(draw.integers(0, len(words) + 1))
        words.insert(place, str(draw.choice((GOOD if index % 2 else BAD)[:seen])))
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

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        return planted_splits()


def encoder_folder(folder: Path, dropout: float = 0.1) -> Path:
    """Save a random BERT with its tokenizer in the Hugging Face layout, and return the folder."""
    torch.manual_seed(1)
    made = tokenizer()
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 32,
    }
    config = BertConfig(
        vocab_size=len(made),
        pad_token_id=0,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **shape,
    )
    BertModel(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


CARD: Mapping[str, Any] = {
    "name": "standard",
    "task": "planted",
    "labels": ["negative", "positive"],
    "attackable": "text",
    "fields": ["text"],
    "max_tokens": 12,
    "protocol": "rift2021",
}
"""The card of a small victim of the planted task."""
QUICK: Mapping[str, Any] = {
    "learning_rate": 5e-3,
    "epochs": 3,
    "batch_size": 16,
    "dev_examples": 16,
}


def request(
    encoder: Path | str, defense: str = "standard", splits: Splits | None = None, **values: Any
) -> FitRequest:
    """Return a request for the planted task that trains in seconds."""
    options = {**QUICK, **values.pop("options", {})}
    made = {"substitutions": Synonyms(), "protocol": get_protocol("rift2021"), "seed": 0, **values}
    return FitRequest(
        defense=defense,
        task="planted",
        splits=splits or planted_splits(),
        encoder=str(encoder),
        options=options,
        **made,
    )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
