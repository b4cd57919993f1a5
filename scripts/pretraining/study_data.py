"""The reviews of ``study_pretraining_pays.py``: their splits and their batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from scripts.pretraining.text import clean, fingerprint, iter_reviews

# Number of training reviews -> epochs. The epoch with the best dev accuracy counts.
EPOCHS = {1000: 10, 4000: 4}
DEV, TEST, BATCH, MAX_LENGTH = 1000, 2000, 32, 200


class Split(NamedTuple):
    """Token ids of reviews, at most ``MAX_LENGTH`` each, and their labels (1: positive)."""

    ids: list[list[int]]
    labels: list[int]


def load_splits(data: Path, model: Path) -> dict[str, Split]:
    """Draw ``train``, ``dev`` and ``test`` with seed 0.

    ``train`` has 4,000 reviews; all of them are balanced, and so are the first 1,000. Training
    reviews that equal a test review are left out, as in pre-training.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for folder, text in iter_reviews(data):
        if not folder.endswith("unsup"):
            texts[folder].append(clean(text))
    test = {fingerprint(text) for text in (*texts["test/pos"], *texts["test/neg"])}
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    rng = np.random.default_rng(0)
    parts: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for label, name in enumerate(("neg", "pos")):
        kept = [text for text in texts[f"train/{name}"] if fingerprint(text) not in test]
        drawn = [kept[i] for i in rng.permutation(len(kept))]
        parts["dev"] += [(text, label) for text in drawn[: DEV // 2]]
        parts["train"] += [(text, label) for text in drawn[DEV // 2 : (DEV + max(EPOCHS)) // 2]]
        test_texts = texts[f"test/{name}"]
        chosen = rng.permutation(len(test_texts))[: TEST // 2]
        parts["test"] += [(test_texts[i], label) for i in chosen]
    # Negative and positive reviews alternate, so that the first 1,000 are balanced too.
    half = len(parts["train"]) // 2
    negative, positive = parts["train"][:half], parts["train"][half : 2 * half]
    parts["train"] = list(chain.from_iterable(zip(negative, positive, strict=True)))
    splits = {}
    for name, rows in parts.items():
        encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=MAX_LENGTH)
        splits[name] = Split(encoded["input_ids"], [label for _, label in rows])
    return splits


def buckets(split: Split, rng: np.random.Generator | None) -> Iterable[tuple[Tensor, Tensor]]:
    """Yield batches (ids padded with 0, labels) of reviews of similar length.

    With ``rng``, the batches come in random order.
    """
    lengths = np.asarray([len(row) for row in split.ids], dtype=float)
    noise = rng.uniform(0, 40, len(lengths)) if rng is not None else 0.0
    order = np.argsort(lengths + noise, kind="stable")
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    for at in rng.permutation(len(groups)) if rng is not None else range(len(groups)):
        rows = [torch.tensor(split.ids[i]) for i in groups[at]]
        yield (
            nn.utils.rnn.pad_sequence(rows, batch_first=True),
            torch.tensor([split.labels[i] for i in groups[at]]),
        )
