"""Small victims that are trained in seconds, with examples that they get right and wrong.

Every word pulls towards one of the classes by its own weight, and a text's label is the class that
its words pull towards most. So margins are small and large, and substitutes help and harm.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from fake_victims import make_job
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel

from robench.models.classifier import TextClassifier
from robench.models.victim import Victim
from robench.search.jobs import Job
from robench.testing.opinions import tokenizer

WORDS = tuple(f"word{number}" for number in range(90))
KNOWN = 72
"""The words after these occur as substitutes only, and no victim has seen them."""
LABELS = ("first", "second", "third")
STEPS = 120


def _texts(rng: np.random.Generator, classes: int, count: int) -> tuple[list[list[int]], list[int]]:
    pulls = np.random.default_rng(classes).normal(size=(len(WORDS), classes))
    texts = [rng.integers(KNOWN, size=rng.integers(5, 9)).tolist() for _ in range(count)]
    return texts, [int(pulls[text].sum(axis=0).argmax()) for text in texts]


@cache
def _trained(classes: int) -> TextClassifier:
    """Train one layer of width 24 on fresh texts in every step."""
    torch.manual_seed(classes)
    made = tokenizer(WORDS)
    shape = {
        "hidden_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 16,
    }
    model = TextClassifier(BertModel(BertConfig(vocab_size=len(made), **shape)), classes, 32)
    rng = np.random.default_rng(classes)
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    first = int(made.convert_tokens_to_ids(WORDS[0]))
    ends = [int(made.cls_token_id), int(made.sep_token_id)]
    for _ in range(STEPS):
        texts, labels = _texts(rng, classes, 64)
        ids = torch.zeros(64, 10, dtype=torch.long)
        mask = torch.zeros(64, 10, dtype=torch.long)
        for row, text in enumerate(texts):
            tokens = [ends[0], *(first + word for word in text), ends[1]]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        loss = cross_entropy(model(ids, mask, None), torch.tensor(labels))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model.eval()


def learnt_victim(classes: int, scale: float = 1.0) -> Victim:
    """Return a trained victim whose last layer is multiplied by ``scale``."""
    trained = _trained(classes)
    model = TextClassifier(trained.encoder, classes, 32)
    model.head.load_state_dict(trained.head.state_dict())
    with torch.no_grad():
        for parameter in model.head[-1].parameters():
            parameter.mul_(scale)
    card = {
        "name": f"learnt x {scale:g}",
        "task": "planted",
        "labels": list(LABELS[:classes]),
        "attackable": "text",
        "fields": ["text"],
        "max_tokens": 12,
        "protocol": "rift2021",
    }
    return Victim(model, tokenizer(WORDS), card)


def learnt_jobs(classes: int, count: int) -> list[Job]:
    """Return examples that no victim was trained on, with at most two substitutes a word.

    A third of the words has none, so that a text's verdict is often that it holds. Training rounds
    in its own way on each kind of processor, and no verdict may be as rare as one text.
    """
    rng = np.random.default_rng(1000 + classes)
    texts, labels = _texts(rng, classes, count)
    swaps = {
        word: np.random.default_rng(number).choice(WORDS, number % 3, replace=False).tolist()
        for number, word in enumerate(WORDS)
    }
    swaps = {word: [each for each in found if each != word] for word, found in swaps.items()}
    return [
        make_job(" ".join(WORDS[word] for word in text), swaps, label, number)
        for number, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
